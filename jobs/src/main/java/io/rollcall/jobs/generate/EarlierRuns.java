package io.rollcall.jobs.generate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.rollcall.engine.sparsity.SparsityProfile;
import java.util.List;
import java.util.TreeSet;

/** What earlier runs into the same output were made with. */
final class EarlierRuns {
  private static final ObjectMapper JSON = new ObjectMapper();

  private EarlierRuns() {}

  /** One line on what a resumed run does otherwise than the runs before it; null if nothing. */
  static String differences(List<String> records, String modelDigest, SparsityProfile profile) {
    TreeSet<String> other = new TreeSet<>();
    for (String record : records) {
      try {
        JsonNode run = JSON.readTree(record);
        if (!run.path("status").asText().equals("succeeded")) {
          continue; // it left no rows
        }
        note(other, "model", run.path("model_digest").asText(modelDigest), modelDigest);
        note(other, "method", run.path("method").asText(), profile.method().toString());
        note(other, "union", run.path("union").asText(), profile.union().toString());
        String sparsity = JSON.valueToTree(profile.sparsity()).toString();
        note(other, "sparsity", run.path("sparsity").toString(), sparsity);
      } catch (JsonProcessingException e) {
        other.add("a record that cannot be read");
      }
    }
    return other.isEmpty()
        ? null
        : "rows that were there come from runs with another "
            + String.join(" and ", other)
            + "; generations names each row's";
  }

  private static void note(TreeSet<String> other, String what, String theirs, String ours) {
    if (!theirs.equals(ours)) {
      other.add(what);
    }
  }
}
