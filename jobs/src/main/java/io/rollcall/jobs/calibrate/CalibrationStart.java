package io.rollcall.jobs.calibrate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.NeuronScales;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;

/**
 * What a calibration starts from: what the options and the profile that they name ask for.
 *
 * @param target with what is kept of the profile
 * @param corrections of the profile, where they are for the same calls; null for none
 * @param gathersScales whether the target is to get neuron scales
 */
record CalibrationStart(
    Calibrator.Target target, Corrections corrections, boolean gathersScales) {

  /**
   * @param named the profile that the options name; null for none
   * @param file plain name of the tensors' file to be written
   * @throws UserException when the profile lacks the method's predictor
   * @throws io.rollcall.jobs.UsageException when its method takes no neuron scales
   */
  static CalibrationStart of(CalibrateRequest request, SparsityProfile named, String file) {
    SparsityProfile given = named == null ? null : named.in(file);
    Calibrator.Target plain = target(request, given);
    boolean sameMethod = given != null && given.method() == plain.method();
    boolean scaled = scaled(request, sameMethod ? given : null, plain.method());
    NeuronScales kept = scaled && sameMethod ? given.neuronScales() : null;
    boolean sameCalls =
        sameMethod
            && given.union().equals(plain.union())
            && scaled == (given.neuronScales() != null);
    return new CalibrationStart(
        kept == null ? plain : plain.with(kept),
        sameCalls ? given.corrections() : null,
        scaled && kept == null);
  }

  private static Calibrator.Target target(CalibrateRequest request, SparsityProfile given) {
    int batchSize = request.decoding().batchSize();
    UnionStrategy shared = new UnionStrategy.Shared();
    if (given == null) {
      UnionStrategy union = request.union() == null ? shared : request.union();
      return new Calibrator.Target(request.method(), null, union, batchSize);
    }
    Method method = request.method() == null ? given.method() : request.method();
    if (method.needsPredictor() && given.method() != method) {
      throw new UserException(
          "profile '" + request.profile() + "' is of " + given.method()
              + " and has no predictor of " + method + "; train one with train-predictor");
    }
    return new Calibrator.Target(
        method,
        method.needsPredictor() ? given.predictors() : null,
        request.union() == null ? given.union() : request.union(),
        batchSize);
  }

  /**
   * Whether scores get neuron scales.
   *
   * @param given the profile where it is of the same method, else null: one that has scales keeps them,
   *     and one that has corrections its calls, which these are for
   */
  private static boolean scaled(CalibrateRequest request, SparsityProfile given, Method method) {
    if (request.neuronScales() != null) {
      CalibrateRequest.requireScalable(method);
      return request.neuronScales();
    }
    if (given != null && (given.neuronScales() != null || given.corrections() != null)) {
      return given.neuronScales() != null;
    }
    return request.maxLoss() != null && method.scalable();
  }
}
