package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.output.RunRecord;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/** A run's thresholds and layer totals as the run record has them. */
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

  static Map<String, Object> layer(RunTotals.LayerTotals layer) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("layer", layer.layer());
    fields.put("steps", layer.steps());
    fields.put("own_density", layer.meanOwnDensity());
    fields.put("union_density", layer.meanUnionDensity());
    fields.put("dense_steps", layer.denseSteps());
    fields.put("bytes_read", layer.bytesRead());
    fields.put("bytes_dense", layer.bytesDense());
    return fields;
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
