package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.TextFile;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes a run's plan out of what was asked for, once, on the driver. */
final class SparsityPlanner {
  /** A profile that a model directory may bring; it applies where nothing else was asked for. */
  static final String OWN_PROFILE = "sparsity_profile.json";

  static final double DEFAULT_SPARSITY = 0.5;
  private static final Logger LOG = LoggerFactory.getLogger(SparsityPlanner.class);

  private final ModelRegistry.Loaded loaded;
  private final Decoding decoding;
  private final PromptTemplate template;
  private final int workers;

  /** @param workers threads that a task will have */
  SparsityPlanner(
      ModelRegistry.Loaded loaded, Decoding decoding, PromptTemplate template, int workers) {
    this.loaded = loaded;
    this.decoding = decoding;
    this.template = template;
    this.workers = workers;
  }

  /**
   * The thresholds asked for: a profile's, the model's own, or calibrated ones.
   *
   * @param sample what to calibrate with, if it comes to that
   */
  SparsityPlan plan(
      SparsityRequest request, CalibrationSample sample, Configuration configuration) {
    LoadedModel model = loaded.model();
    if (request.method() == Method.DENSE) {
      return SparsityPlan.dense(model.digest());
    }
    SparsityProfile profile = profile(request, sample, configuration);
    profile.requireModel(model.digest(), model.name());
    return new SparsityPlan(profile, model.crossover(profile, decoding.batchSize(), workers));
  }

  private SparsityProfile profile(
      SparsityRequest request, CalibrationSample sample, Configuration configuration) {
    if (request.profile() != null) {
      return SparsityProfile.fromJson(
          TextFile.read("profile", request.profile(), configuration),
          request.profile(),
          file -> TextFile.sibling("predictor", request.profile(), file, configuration));
    }
    return own(request).orElseGet(() -> calibrate(request, sample));
  }

  private Optional<SparsityProfile> own(SparsityRequest request) {
    ModelFiles files = loaded.files();
    if (request.sparsity() != null || !files.has(OWN_PROFILE)) {
      return Optional.empty();
    }
    String json = new String(files.read(OWN_PROFILE), StandardCharsets.UTF_8);
    SparsityProfile own = 
        SparsityProfile.fromJson(json, files.name() + "/" + OWN_PROFILE, files::read);
    boolean fits =
        (request.method() == null || request.method() == own.method())
            && (request.union() == null || request.union().equals(own.union()));
    if (fits) {
      LOG.info("Thresholds from the model's own profile");
    }
    return fits ? Optional.of(own) : Optional.empty();
  }

  private SparsityProfile calibrate(SparsityRequest request, CalibrationSample sample) {
    double sparsity = request.sparsity() == null ? DEFAULT_SPARSITY : request.sparsity();
    Method method = request.method() == null ? Method.M_COUNTDOWN : request.method();
    UnionStrategy union = request.union() == null ? new UnionStrategy.Shared() : request.union();
    LOG.info("Calibrating {} for sparsity {} and union {}", method, sparsity, union);
    return Calibrator.calibrate(
        loaded.model(),
        method,
        union,
        new double[] {sparsity},
        decoding.batchSize(),
        decoding.maxNewTokens(),
        template,
        sample.prompts().get(),
        sample.corpus(),
        workers);
  }
}
