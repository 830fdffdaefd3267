package io.rollcall.engine.recovery;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.Correction;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.SparsityProfile;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Fits corrections to a profile's layers, in order: each pass over the documents runs with the
 * corrections of the layers before, so that a correction meets the inputs that it will have.
 */
public final class Recovery {
  private final SparsityProfile profile;
  private final ModelConfig model;
  private final RecoveryOptions options;

  /** Gathers what some layers' corrections are fitted from, by {@link RecoveryPass}es. */
  @FunctionalInterface
  public interface Gathering {
    /**
     * @param profile with corrections of the layers before the range
     * @return of each layer of the range
     */
    List<CorrectionStatistics> gather(SparsityProfile profile, LayerRange layers);
  }

  /** @throws UserException for a dense profile, or a rank that is too large for the model or memory */
  public Recovery(
      SparsityProfile profile, ModelConfig model, String modelName, RecoveryOptions options) {
    if (!profile.method().sparse()) {
      throw new UserException(
          "a profile of method dense drops nothing that could be recovered; give a sparse one");
    }
    options.requireFits(model, profile.union(), modelName);
    options.requireMemory(model.hiddenSize());
    this.profile = profile.with((Corrections) null);
    this.model = model;
    this.options = options;
  }

  /**
   * @param file plain name of the safetensors file that the corrections will lie in
   * @param corpus where the documents came from, and how many they are, for the account
   * @throws UserException when there is no decode position to fit to
   */
  public Corrections fit(Gathering gathering, String file, String corpus, long documents) {
    List<Correction> layers =
        new ArrayList<>(
            Collections.nCopies(model.layers(), Correction.none(model.hiddenSize())));
    int[] rank = new int[model.layers()];
    double[] remaining = new double[model.layers()];
    long positions = 0;
    long heldOut = 0;
    for (int first = 0; first < model.layers(); first += options.layersPerPass()) {
      LayerRange range =
          new LayerRange(first, Math.min(model.layers(), first + options.layersPerPass()));
      SparsityProfile soFar =
          first == 0 ? profile : profile.with(new Corrections(file, null, layers));
      List<CorrectionStatistics> statistics = gathering.gather(soFar, range);
      requirePositions(statistics.get(0), corpus);
      positions = statistics.get(0).training().count();
      heldOut = statistics.get(0).heldOut().count();
      for (int i = 0; i < range.count(); i++) {
        CorrectionFit.Fitted fitted = CorrectionFit.fit(statistics.get(i), options.rank());
        layers.set(first + i, fitted.correction());
        rank[first + i] = fitted.correction().rank();
        remaining[first + i] = fitted.remaining();
      }
    }
    return new Corrections(
        file,
        new Corrections.Fitting(
            corpus, documents, positions, heldOut, options.batchSize(), rank, remaining, null),
        layers);
  }

  private static void requirePositions(CorrectionStatistics statistics, String corpus) {
    if (statistics.training().count() == 0) {
      throw new UserException(
          "no document of " + corpus + " has a decode position to fit corrections to; give documents"
              + " with references that fit the context");
    }
  }
}
