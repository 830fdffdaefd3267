package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.output.RunRecord;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A run's thresholds as the run record has them. */
final class ProfileRecord {
  private ProfileRecord() {}

  static void put(RunRecord record, SparsityProfile profile) {
    record
        .put("method", profile.method())
        .put("union", profile.union())
        .put("sparsity", profile.sparsity())
        .put("profile", profile)
        .put("profile_digest", sha256(profile.toJson()));
  }

  private static String sha256(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
