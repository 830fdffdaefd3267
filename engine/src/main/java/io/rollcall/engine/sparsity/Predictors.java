package io.rollcall.engine.sparsity;

import com.fasterxml.jackson.annotation.JsonValue;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.WeightType;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The predictors of all layers, and the safetensors file beside a profile that holds them as {@code
 * layers.N.predictor.a} [k x d], {@code layers.N.predictor.b} [f x k] and, where they are folded, {@code
 * layers.N.predictor.fold} [f x k].
 *
 * @param file its plain name, which stands for them in JSON
 * @param layers of one rank and precision, all of them folded or none
 */
public record Predictors(@JsonValue String file, List<Predictor> layers) implements Serializable {

  public Predictors {
    layers = List.copyOf(layers);
  }

  public int rank() {
    return layers.get(0).rank();
  }

  public WeightType precision() {
    return layers.get(0).precision();
  }

  public boolean folded() {
    return layers.get(0).folded();
  }

  /** What one layer's decode step reads of them. */
  public long bytes() {
    return layers.get(0).bytes();
  }

  /**
   * @param content of the file
   * @param precision that decode steps read them at
   * @param profile that names it, for messages
   * @throws UserException when a tensor is missing or of another shape than its mates
   */
  public static Predictors read(
      String file, byte[] content, WeightType precision, String profile) {
    TensorFile tensors = TensorFile.of(profile, file, content);
    List<Predictor> layers = new ArrayList<>();
    while (tensors.has(a(layers.size()))) {
      int layer = layers.size();
      int rank = ProfileTensors.extent(tensors, a(layer), 0, profile);
      boolean folded = tensors.has(fold(layer));
      if (ProfileTensors.extent(tensors, b(layer), 1, profile) != rank
          || (layer > 0
              && (rank != layers.get(0).rank() || folded != layers.get(0).folded()))
          || (folded && !tensors.shape(fold(layer)).equals(tensors.shape(b(layer))))) {
        throw new UserException(
            String.format(
                "predictor '%s' of profile '%s' has another rank or form in layer %d; train it again",
                file, profile, layer));
      }
      layers.add(
          new Predictor(
              rank,
              precision,
              ProfileTensors.bf16(tensors.tensor(a(layer))),
              ProfileTensors.bf16(tensors.tensor(b(layer))),
              folded ? ProfileTensors.bf16(tensors.tensor(fold(layer))) : null));
    }
    if (layers.isEmpty()) {
      throw new UserException(
          "predictor '" + file + "' of profile '" + profile + "' has no tensor " + a(0)
              + "; train it again");
    }
    return new Predictors(file, layers);
  }

  /** The file's content, in bf16. */
  public byte[] write() {
    return TensorFile.write(tensors());
  }

  Map<String, TensorFile.Shaped> tensors() {
    Map<String, TensorFile.Shaped> tensors = new LinkedHashMap<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      Predictor p = layers.get(layer);
      tensors.put(a(layer), ProfileTensors.shaped(p.rank(), p.hidden(), p.a()));
      tensors.put(b(layer), ProfileTensors.shaped(p.intermediate(), p.rank(), p.b()));
      if (p.folded()) {
        tensors.put(fold(layer), ProfileTensors.shaped(p.intermediate(), p.rank(), p.fold()));
      }
    }
    return tensors;
  }

  /** @throws UserException when they are another shape's */
  void requireShape(ModelConfig model, String modelName) {
    boolean fits =
        layers.size() == model.layers()
            && layers.stream()
                .allMatch(
                    p ->
                        p.hidden() == model.hiddenSize()
                            && p.intermediate() == model.intermediateSize());
    if (!fits) {
      throw new UserException(
          String.format(
              "predictor '%s' is of another shape than model '%s' of %d layers, d %d and f %d; train"
                  + " it again",
              file, modelName, model.layers(), model.hiddenSize(), model.intermediateSize()));
    }
  }

  private static String a(int layer) {
    return "layers." + layer + ".predictor.a";
  }

  private static String b(int layer) {
    return "layers." + layer + ".predictor.b";
  }

  private static String fold(int layer) {
    return "layers." + layer + ".predictor.fold";
  }
}
