package io.rollcall.jobs.generate;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.runtime.OwnProfiles;
import io.rollcall.jobs.runtime.ProfileFiles;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds a run's thresholds by what was asked for, once, before the run. */
public final class SparsityPlanner {
  static final double DEFAULT_SPARSITY = 0.5;
  private static final Logger LOG = LoggerFactory.getLogger(SparsityPlanner.class);

  private final Model model;
  private final ModelFiles files;

  /** @param files that {@code model} was read from */
  public SparsityPlanner(Model model, ModelFiles files) {
    this.model = model;
    this.files = files;
  }

  /** Calibrates thresholds, where the run's tasks will run. */
  public interface Calibration {
    SparsityProfile calibrate(Method method, UnionStrategy union, double sparsity);
  }

  /**
   * The thresholds asked for: a profile's, the model's own, or calibrated ones.
   *
   * @param calibration used if it comes to that
   */
  public SparsityProfile profile(
      SparsityRequest request, Calibration calibration, Configuration configuration) {
    if (request.method() == Method.DENSE) {
      return SparsityProfile.dense(model.digest());
    }
    if (request.profile() != null) {
      return ProfileFiles.read(request.profile(), model, configuration);
    }
    SparsityProfile profile = own(request).orElseGet(() -> calibrate(request, calibration));
    profile.requireFits(model);
    return profile;
  }

  private Optional<SparsityProfile> own(SparsityRequest request) {
    if (request.sparsity() != null) {
      return Optional.empty();
    }
    Optional<SparsityProfile> own =
        new OwnProfiles(files).find(request.method(), request.union());
    own.ifPresent(
        profile -> LOG.info("Thresholds from the model's own profile of {}", profile.method()));
    return own;
  }

  private static SparsityProfile calibrate(SparsityRequest request, Calibration calibration) {
    double sparsity = request.sparsity() == null ? DEFAULT_SPARSITY : request.sparsity();
    Method method = request.method() == null ? Method.M_COUNTDOWN : request.method();
    if (method.needsPredictor()) {
      throw new UsageException(SparsityRequest.withoutPredictor(method));
    }
    UnionStrategy union = request.union() == null ? new UnionStrategy.Shared() : request.union();
    LOG.info("Calibrating {} for sparsity {} and union {}", method, sparsity, union);
    return calibration.calibrate(method, union, sparsity);
  }
}
