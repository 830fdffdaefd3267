package io.rollcall.engine.sparsity;

import com.fasterxml.jackson.annotation.JsonValue;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.Tensor;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.WeightType;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

  /** Name of the file beside a profile. */
  public static String fileBeside(String profile) {
    String name = profile.substring(profile.lastIndexOf('/') + 1);
    return (name.endsWith(".json") ? name.substring(0, name.length() - 5) : name) + ".safetensors";
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
      int rank = extent(tensors, a(layer), 0, profile);
      if (extent(tensors, b(layer), 1, profile) != rank
          || (layer > 0 && rank != layers.get(0).rank())) {
        throw new UserException(
            String.format(
                "predictor '%s' of profile '%s' has another rank in layer %d; train it again",
                file, profile, layer));
      }
      layers.add(
          new Predictor(
              rank, bf16(tensors.tensor(a(layer))), bf16(tensors.tensor(b(layer)))));
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
    Map<String, TensorFile.Shaped> tensors = new LinkedHashMap<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      Predictor p = layers.get(layer);
      tensors.put(a(layer), shaped(p.rank(), p.hidden(), p.a()));
      tensors.put(b(layer), shaped(p.intermediate(), p.rank(), p.b()));
    }
    return TensorFile.write(tensors);
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

  private static int extent(TensorFile tensors, String name, int dimension, String profile) {
    List<Long> shape = tensors.shape(name);
    if (shape.size() != 2 || shape.get(dimension) < 1) {
      throw new UserException(
          "tensor " + name + " of profile '" + profile + "' has shape " + shape
              + "; it must be a matrix");
    }
    return Math.toIntExact(shape.get(dimension));
  }

  private static short[] bf16(Tensor tensor) {
    if (tensor.type() == WeightType.BF16) {
      short[] bits = new short[tensor.data().remaining() / 2];
      tensor.data().duplicate().order(ByteOrder.LITTLE_ENDIAN).asShortBuffer().get(bits);
      return bits;
    }
    return Bf16.round(tensor.floats());
  }

  private static TensorFile.Shaped shaped(int rows, int columns, short[] bits) {
    ByteBuffer data = ByteBuffer.allocate(2 * bits.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asShortBuffer().put(bits);
    return new TensorFile.Shaped(List.of((long) rows, (long) columns), new Tensor(WeightType.BF16, data));
  }
}
