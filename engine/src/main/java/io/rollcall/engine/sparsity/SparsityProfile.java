package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import java.io.Serializable;

/**
 * Thresholds of one model and method, with how they were found: one JSON file ({@link ProfileJson}).
 *
 * @param modelDigest of the model they belong to
 * @param sparsity [bucket] what was asked for, fraction of neurons dropped; empty for dense
 * @param thresholds [bucket][layer]; the last bucket serves every larger one; empty for dense
 * @param calibration corpus, its size, the densities measured; null where unknown
 */
public record SparsityProfile(
    String modelDigest,
    Method method,
    UnionStrategy union,
    double[] sparsity,
    float[][] thresholds,
    Calibration calibration)
    implements Serializable {

  /**
   * @param corpus where the prompts came from
   * @param prompts how many
   * @param positions decode positions seen
   * @param ownDensity [bucket][layer] measured
   * @param unionDensity [bucket][layer] measured with the bucket full
   */
  public record Calibration(
      String corpus, int prompts, long positions, double[][] ownDensity, double[][] unionDensity)
      implements Serializable {}

  public SparsityProfile {
    if (method.sparse() && thresholds.length == 0) {
      throw new UserException("a profile of " + method + " needs thresholds");
    }
  }

  public static SparsityProfile dense(String modelDigest) {
    return new SparsityProfile(
        modelDigest, Method.DENSE, new UnionStrategy.Own(), new double[0], new float[0][], null);
  }

  /**
   * @param name where it came from, for messages
   * @throws UserException when it is not a profile
   */
  public static SparsityProfile fromJson(String json, String name) {
    return ProfileJson.read(json, name);
  }

  public String toJson() {
    return ProfileJson.write(this);
  }

  /** @throws UserException when the profile is another model's */
  public void requireModel(String digest, String modelName) {
    if (!modelDigest.equals(digest)) {
      throw new UserException(
          String.format(
              "the profile belongs to the model with digest %s and '%s' has digest %s; calibrate a"
                  + " profile for this model",
              modelDigest, modelName, digest));
    }
  }

  /** Threshold of a layer for a step of the bucket. */
  public float threshold(int bucket, int layer) {
    return thresholds[Math.min(bucket, thresholds.length - 1)][layer];
  }
}
