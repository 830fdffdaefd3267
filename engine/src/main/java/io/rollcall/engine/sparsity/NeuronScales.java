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
 * A factor of each neuron's score, for the methods that know one factor of s = act(g) * u: a_i =
 * norm(w_i) * rms(the other factor), as calibration saw it, so that the magnitude compared with the
 * threshold estimates the neuron's contribution abs(s_i) * norm(w_i). The safetensors file beside a
 * profile holds them as {@code layers.N.neuron_scales} [1 x f].
 *
 * @param file its plain name, which stands for them in JSON
 * @param layers [layer][f], bf16 bits
 */
public record NeuronScales(@JsonValue String file, List<short[]> layers) implements Serializable {

  public NeuronScales {
    layers = List.copyOf(layers);
  }

  /** The same in another file. */
  public NeuronScales in(String other) {
    return new NeuronScales(other, layers);
  }

  /** For kernels, [layer][f]. */
  public List<float[]> floats() {
    return layers.stream().map(Bf16::values).toList();
  }

  /**
   * @param content of the file
   * @param profile that names it, for messages
   * @throws UserException when a tensor is missing, no row, or has a value that is no factor
   */
  static NeuronScales read(String file, byte[] content, String profile) {
    TensorFile tensors = TensorFile.of(profile, file, content);
    List<short[]> layers = new ArrayList<>();
    while (tensors.has(name(layers.size()))) {
      String name = name(layers.size());
      short[] scales = ProfileTensors.bf16(tensors.tensor(name));
      if (ProfileTensors.extent(tensors, name, 0, profile) != 1 || !factors(scales)) {
        throw new UserException(
            String.format(
                "tensor %s of profile '%s' is not one row of finite numbers from 0 up; calibrate again",
                name, profile));
      }
      layers.add(scales);
    }
    if (layers.isEmpty()) {
      throw new UserException(
          "file '" + file + "' of profile '" + profile + "' has no tensor " + name(0)
              + "; calibrate again");
    }
    return new NeuronScales(file, layers);
  }

  private static boolean factors(short[] scales) {
    for (float scale : Bf16.values(scales)) {
      if (!(scale >= 0 && scale < Float.POSITIVE_INFINITY)) {
        return false;
      }
    }
    return true;
  }

  Map<String, TensorFile.Shaped> tensors() {
    Map<String, TensorFile.Shaped> tensors = new LinkedHashMap<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      short[] scales = layers.get(layer);
      tensors.put(name(layer), ProfileTensors.shaped(1, scales.length, scales));
    }
    return tensors;
  }

  /** @throws UserException when they are another shape's */
  void requireShape(ModelConfig model, String modelName) {
    boolean fits =
        layers.size() == model.layers()
            && layers.stream().allMatch(scales -> scales.length == model.intermediateSize());
    if (!fits) {
      throw new UserException(
          String.format(
              "neuron scales '%s' are of another shape than model '%s' of %d layers and f %d;"
                  + " calibrate again",
              file, modelName, model.layers(), model.intermediateSize()));
    }
  }

  private static String name(int layer) {
    return "layers." + layer + ".neuron_scales";
  }
}
