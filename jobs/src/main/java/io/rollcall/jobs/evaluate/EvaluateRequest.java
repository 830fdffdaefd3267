package io.rollcall.jobs.evaluate;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.generate.SparsityRequest;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.runtime.ModelSource;
import java.util.ArrayList;
import java.util.List;

/**
 * All options of an evaluation.
 *
 * @param references column with the answers that the prompts should get
 * @param output directory of metrics.json and of the profiles that were calibrated
 * @param sparsities what is compared with dense; none for the model's own profile
 * @param maxLoss largest rise of perplexity that a profile to be adopted may cost, 0.05 for 5 %
 * @param decoding greedy; its seed is the bootstrap's
 * @param partitions tasks to split the documents over; 0 to follow from their number and the cores
 */
public record EvaluateRequest(
    PromptSource input,
    String references,
    String output,
    ModelSource model,
    List<SparsityRequest> sparsities,
    double maxLoss,
    Decoding decoding,
    int partitions) {

  public EvaluateRequest {
    sparsities = List.copyOf(sparsities);
    if (!input.keepColumns().isEmpty()) {
      throw new UsageException("evaluate writes no rows; leave out --keep-columns");
    }
    if (!(maxLoss > 0)) {
      throw new UsageException(
          "--max-loss " + maxLoss + " is not above 0; 0.05 allows perplexity to rise by 5 %");
    }
    if (partitions < 0) {
      throw new UsageException(
          "--partitions " + partitions + " is below 0; leave it out to follow the documents");
    }
  }

  /**
   * Profiles first, then every method at every sparsity.
   *
   * @param methods dense is compared with anyway
   * @throws UsageException for a method that needs a predictor, or one list without the other
   */
  public static List<SparsityRequest> sparsities(
      List<String> profiles, List<Method> methods, List<Double> sparsities, UnionStrategy union) {
    if (methods.isEmpty() != sparsities.isEmpty()) {
      throw new UsageException(
          "--methods and --sparsities belong together; give "
              + (methods.isEmpty() ? "--methods" : "--sparsities")
              + " too");
    }
    if (union != null && methods.isEmpty()) {
      throw new UsageException(
          "--union is of --methods, and profiles bring their own; leave it out");
    }
    List<SparsityRequest> requests = new ArrayList<>();
    profiles.forEach(file -> requests.add(new SparsityRequest(null, null, file, null)));
    for (Method method : methods) {
      for (double sparsity : method.sparse() ? sparsities : List.<Double>of()) {
        requests.add(new SparsityRequest(method, sparsity, null, union));
      }
    }
    return requests;
  }
}
