package io.rollcall.engine.sparsity;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.rollcall.engine.UserException;
import io.rollcall.kernels.WeightType;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.IntStream;

/** A sparsity profile's file format. */
final class ProfileJson {
  private static final int FORMAT = 1;
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .serializationInclusion(JsonInclude.Include.NON_NULL)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /**
   * @param buckets largest batch of each row of thresholds, for people who read the file
   * @param predictor name of the safetensors file beside this one; absent for most methods
   * @param predictorWeights precision that decode steps read it at; absent for bf16
   * @param corrections absent for most profiles
   * @param neuronScales name of the safetensors file beside this one; absent without
   */
  private record File(
      int format,
      String modelDigest,
      String method,
      String union,
      int[] buckets,
      double[] sparsity,
      float[][] thresholds,
      SparsityProfile.Calibration calibration,
      String predictor,
      String predictorWeights,
      CorrectionsFile corrections,
      String neuronScales) {}

  /** @param file name of the safetensors file beside this one: the predictors', where it has some */
  private record CorrectionsFile(String file, Corrections.Fitting fitting) {

    static CorrectionsFile of(Corrections corrections) {
      return corrections == null
          ? null
          : new CorrectionsFile(corrections.file(), corrections.fitting());
    }

    Corrections read(String name, Function<String, byte[]> siblings) {
      require(file != null, name, "has corrections without a file");
      return Corrections.read(file, fitting, siblings.apply(file), name);
    }
  }

  private ProfileJson() {}

  static String write(SparsityProfile profile) {
    int[] buckets =
        IntStream.range(0, profile.thresholds().length).map(BatchBuckets::largest).toArray();
    try {
      return MAPPER
          .writerWithDefaultPrettyPrinter()
          .writeValueAsString(
              new File(
                  FORMAT,
                  profile.modelDigest(),
                  profile.method().toString(),
                  profile.union().toString(),
                  buckets,
                  profile.sparsity(),
                  profile.thresholds(),
                  profile.calibration(),
                  profile.predictors() == null ? null : profile.predictors().file(),
                  profile.predictors() == null ? null : named(profile.predictors().precision()),
                  CorrectionsFile.of(profile.corrections()),
                  profile.neuronScales() == null ? null : profile.neuronScales().file()));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  static SparsityProfile read(String json, String name, Function<String, byte[]> siblings) {
    File file;
    try {
      file = MAPPER.readValue(json, File.class);
    } catch (JsonProcessingException e) {
      throw new UserException(
          "profile '" + name + "' is not a sparsity profile: " + e.getOriginalMessage(), e);
    }
    require(file.format == FORMAT, name, "has format " + file.format + ", not " + FORMAT);
    require(file.modelDigest != null, name, "has no model_digest");
    require(file.method != null, name, "has no method");
    require(file.union != null, name, "has no union");
    Method method = Method.parse(file.method);
    require(
        !method.needsPredictor() || file.predictor != null,
        name,
        "is of " + method + " and names no predictor, which " + method + " needs");
    require(
        file.neuronScales == null || method.scalable(),
        name,
        "is of " + method + " and has neuron scales, which only cats and m-countdown take");
    float[][] thresholds = file.thresholds == null ? new float[0][] : file.thresholds;
    require(!method.sparse() || thresholds.length > 0, name, "has no thresholds");
    for (float[] bucket : thresholds) {
      require(bucket.length == thresholds[0].length, name, "has buckets of different length");
    }
    return new SparsityProfile(
        file.modelDigest,
        method,
        UnionStrategy.parse(file.union),
        file.sparsity == null ? new double[0] : file.sparsity,
        thresholds,
        file.calibration,
        method.needsPredictor()
            ? Predictors.read(
                file.predictor,
                siblings.apply(file.predictor),
                precision(file.predictorWeights, name),
                name)
            : null,
        file.corrections == null ? null : file.corrections.read(name, siblings),
        file.neuronScales == null
            ? null
            : NeuronScales.read(file.neuronScales, siblings.apply(file.neuronScales), name));
  }

  /** As options name it; null for bf16. */
  private static String named(WeightType precision) {
    return precision == WeightType.BF16 ? null : precision.name().toLowerCase(Locale.ROOT);
  }

  private static WeightType precision(String named, String name) {
    for (WeightType type : List.of(WeightType.BF16, WeightType.INT8, WeightType.INT4)) {
      if (named == null || type.name().equalsIgnoreCase(named)) {
        return type;
      }
    }
    throw new UserException(
        "profile '" + name + "' has predictor_weights '" + named + "'; they are bf16, int8 or int4");
  }

  private static void require(boolean holds, String name, String otherwise) {
    if (!holds) {
      throw new UserException(
          "profile '" + name + "' " + otherwise + "; write one with calibrate");
    }
  }
}
