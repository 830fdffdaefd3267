package io.rollcall.engine.sparsity;

import com.fasterxml.jackson.annotation.JsonValue;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.engine.model.ModelConfig;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The predictors of all layers, and the safetensors file beside a profile that holds them as {@code
 * layers.N.predictor.a} [k x d] and {@code layers.N.predictor.b} [f x k].
 *
 * @param file its plain name, which stands for them in JSON
 * @param layers of one rank
 */
public record Predictors(@JsonValue String file, List<Predictor> layers) implements Serializable {

  public Predictors {
    layers = List.copyOf(layers);
  }

  public int rank() {
    return layers.get(0).rank();
  }

  /**
   * @param content of the file
   * @param profile that names it, for messages
   * @throws UserException when a tensor is missing or of another shape than its mates
   */
  public static Predictors read(String file, byte[] content, String profile) {
    TensorFile tensors = TensorFile.of(profile, file, content);
    List<Predictor> layers = new ArrayList<>();
    while (tensors.has(a(layers.size()))) {
      int layer = layers.size();
      int rank = ProfileTensors.extent(tensors, a(layer), 0, profile);
      if (ProfileTensors.extent(tensors, b(layer), 1, profile) != rank
          || (layer > 0 && rank != layers.get(0).rank())) {
        throw new UserException(
            String.format(
                "predictor '%s' of profile '%s' has another rank in layer %d; train it again",
                file, profile, layer));
      }
      layers.add(
          new Predictor(
              rank, ProfileTensors.bf16(tensors.tensor(a(layer))), ProfileTensors.bf16(tensors.tensor(b(layer)))));
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
}
