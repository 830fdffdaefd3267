package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Thresholds of one model and method, with how they were found: one JSON file ({@link ProfileJson}).
 *
 * @param modelDigest of the model they belong to
 * @param sparsity [bucket] what was asked for, fraction of neurons dropped; empty for dense
 * @param thresholds [bucket][layer]; the last bucket serves every larger one; empty for dense
 * @param calibration corpus, its size, the densities measured; null where unknown
 * @param predictors of d-countdown and s-countdown; null for the others
 * @param corrections of the sparse layers' outputs; null for none
 * @param neuronScales of the scores of cats and m-countdown; null for ones
 */
public record SparsityProfile(
    String modelDigest,
    Method method,
    UnionStrategy union,
    double[] sparsity,
    float[][] thresholds,
    Calibration calibration,
    Predictors predictors,
    Corrections corrections,
    NeuronScales neuronScales)
    implements Serializable {

  /**
   * @param corpus where the prompts came from
   * @param prompts how many
   * @param positions decode positions seen
   * @param ownDensity [bucket][layer] measured
   * @param unionDensity [bucket][layer] measured with the bucket full
   * @param ownSpread [bucket][layer] standard deviation of the own density between prompts; null where
   *     unknown
   * @param training how the predictors were trained; null without
   * @param rankError how far densities may be from the wanted ones at the positions seen, with 99 %
   *     confidence: that of the sketches which thresholds were read from; null where unknown
   * @param search how sparsities were found; null where they were asked for
   */
  public record Calibration(
      String corpus,
      int prompts,
      long positions,
      double[][] ownDensity,
      double[][] unionDensity,
      double[][] ownSpread,
      Training training,
      Double rankError,
      Search search)
      implements Serializable {

    /** One of which no more is known. */
    public Calibration(
        String corpus,
        int prompts,
        long positions,
        double[][] ownDensity,
        double[][] unionDensity,
        double[][] ownSpread) {
      this(corpus, prompts, positions, ownDensity, unionDensity, ownSpread, null, null, null);
    }

    /** The same with how the predictors were trained. */
    public Calibration with(Training training) {
      return new Calibration(
          corpus,
          prompts,
          positions,
          ownDensity,
          unionDensity,
          ownSpread,
          training,
          rankError,
          search);
    }
  }

  /**
   * How a search found its sparsities.
   *
   * @param maxLoss rise of perplexity allowed, 0.01 for 1 %
   * @param searched documents searched with
   * @param heldOut documents that the profile was checked on
   */
  public record Search(double maxLoss, int searched, int heldOut, List<BucketSearch> buckets)
      implements Serializable {}

  /**
   * What a search found for a batch bucket.
   *
   * @param batchSize sequences in each step that was measured
   * @param sparsity [layer]
   * @param loss rise of perplexity on the held-out documents
   * @param bytes read there, to dense
   * @param uniformSparsity the best of all layers alike
   * @param uniformLoss what it costs there
   * @param uniformBytes what it reads there, to dense
   */
  public record BucketSearch(
      int batchSize,
      double[] sparsity,
      double loss,
      double bytes,
      double uniformSparsity,
      double uniformLoss,
      double uniformBytes)
      implements Serializable {}

  /**
   * How predictors were trained, and how well they do on held-out decode positions at the wanted
   * density, against the neurons that the oracle keeps there.
   *
   * @param positions trained on
   * @param heldOut positions held out
   * @param recall [layer] fraction of the oracle's neurons that are predicted
   * @param precision [layer] fraction of the predicted neurons that are the oracle's
   * @param energy [layer] fraction of the squared scores that the predicted neurons have
   */
  public record Training(
      int rank,
      long positions,
      long heldOut,
      double[] recall,
      double[] precision,
      double[] energy)
      implements Serializable {}

  public SparsityProfile {
    if (method.sparse() && thresholds.length == 0) {
      throw new UserException("a profile of " + method + " needs thresholds");
    }
    if (method.needsPredictor() && predictors == null) {
      throw new UserException(method + " needs a profile with a predictor");
    }
    if (neuronScales != null && !method.scalable()) {
      throw new UserException("neuron scales are of cats and m-countdown, not of " + method);
    }
  }

  /** A profile without corrections and neuron scales. */
  public SparsityProfile(
      String modelDigest,
      Method method,
      UnionStrategy union,
      double[] sparsity,
      float[][] thresholds,
      Calibration calibration,
      Predictors predictors) {
    this(modelDigest, method, union, sparsity, thresholds, calibration, predictors, null, null);
  }

  /** A profile of a method without a predictor. */
  public SparsityProfile(
      String modelDigest,
      Method method,
      UnionStrategy union,
      double[] sparsity,
      float[][] thresholds,
      Calibration calibration) {
    this(modelDigest, method, union, sparsity, thresholds, calibration, null);
  }

  /** The same with predictors. */
  public SparsityProfile with(Predictors others) {
    return new SparsityProfile(
        modelDigest, method, union, sparsity, thresholds, calibration, others, corrections,
        neuronScales);
  }

  /** The same with other corrections, or with none where they are null. */
  public SparsityProfile with(Corrections others) {
    return new SparsityProfile(
        modelDigest, method, union, sparsity, thresholds, calibration, predictors, others,
        neuronScales);
  }

  /** The same with other neuron scales, or with none where they are null. */
  public SparsityProfile with(NeuronScales others) {
    return new SparsityProfile(
        modelDigest, method, union, sparsity, thresholds, calibration, predictors, corrections,
        others);
  }

  /** The same with an account of the predictors' training. */
  public SparsityProfile with(Training training) {
    return new SparsityProfile(
        modelDigest, method, union, sparsity, thresholds, calibration.with(training), predictors,
        corrections, neuronScales);
  }

  /** The same with its {@link #tensors} in a file of this plain name. */
  public SparsityProfile in(String file) {
    return new SparsityProfile(
        modelDigest, method, union, sparsity, thresholds, calibration,
        predictors == null ? null : new Predictors(file, predictors.layers()),
        corrections == null ? null : corrections.in(file),
        neuronScales == null ? null : neuronScales.in(file));
  }

  public static SparsityProfile dense(String modelDigest) {
    return new SparsityProfile(
        modelDigest, Method.DENSE, new UnionStrategy.Own(), new double[0], new float[0][], null);
  }

  /**
   * @param name where it came from, for messages
   * @param siblings reads a file beside it: the predictors, corrections and scales that it may name
   * @throws UserException when it is not a profile
   */
  public static SparsityProfile fromJson(
      String json, String name, Function<String, byte[]> siblings) {
    return ProfileJson.read(json, name, siblings);
  }

  /** The file's text; what it names is in a file of its own, {@link #tensors}. */
  public String toJson() {
    return ProfileJson.write(this);
  }

  /** Whether there is a file of {@link #tensors}. */
  public boolean hasTensors() {
    return predictors != null || corrections != null || neuronScales != null;
  }

  /** The content of the safetensors file beside it: predictors, corrections, neuron scales. */
  public byte[] tensors() {
    Map<String, TensorFile.Shaped> tensors = new LinkedHashMap<>();
    if (predictors != null) {
      tensors.putAll(predictors.tensors());
    }
    if (corrections != null) {
      tensors.putAll(corrections.tensors());
    }
    if (neuronScales != null) {
      tensors.putAll(neuronScales.tensors());
    }
    return TensorFile.write(tensors);
  }

  /** @throws UserException when the profile is another model's, or not of its shape */
  public void requireFits(Model model) {
    requireModel(model.digest(), model.name());
    requireShape(model.config(), model.name());
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

  /** @throws UserException when thresholds or what is in {@link #tensors} are not of the model's shape */
  public void requireShape(ModelConfig model, String modelName) {
    for (float[] bucket : thresholds) {
      if (bucket.length != model.layers()) {
        throw new UserException(
            String.format(
                "the profile has thresholds for %d layers and model '%s' has %d; calibrate it again",
                bucket.length, modelName, model.layers()));
      }
    }
    if (predictors != null) {
      predictors.requireShape(model, modelName);
    }
    if (corrections != null) {
      corrections.requireShape(model, modelName);
    }
    if (neuronScales != null) {
      neuronScales.requireShape(model, modelName);
    }
  }

  /** Rank of the predictors; 0 without. */
  public int predictorRank() {
    return predictors == null ? 0 : predictors.rank();
  }

  /** What a layer's step reads of its predictor; 0 without. */
  public long predictorBytes() {
    return predictors == null ? 0 : predictors.bytes();
  }

  /** What a layer's sparse output is corrected by; null for nothing. */
  public Correction correction(int layer) {
    return corrections == null ? null : corrections.layers().get(layer);
  }

  /** Threshold of a layer for a step of the bucket. */
  public float threshold(int bucket, int layer) {
    return thresholds[Math.min(bucket, thresholds.length - 1)][layer];
  }
}
