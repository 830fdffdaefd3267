package io.rollcall.engine.sparsity;

import com.fasterxml.jackson.annotation.JsonIgnore;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.engine.model.ModelConfig;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * The corrections of all layers, and the safetensors file beside a profile that holds them as {@code
 * layers.N.correction.bias} [buckets x d] and, where the rank is above 0, {@code
 * layers.N.correction.down} [r x d] and {@code layers.N.correction.up} [d x r].
 *
 * @param file its plain name; the predictors', where there are some
 * @param fitting how they were found; null where unknown
 */
public record Corrections(String file, Fitting fitting, @JsonIgnore List<Correction> layers)
    implements Serializable {

  /**
   * How corrections were fitted, and what they leave of the error.
   *
   * @param corpus where the documents came from
   * @param documents how many
   * @param positions decode positions fitted on
   * @param heldOut decode positions held out
   * @param batchSize that they are for
   * @param rank [layer]
   * @param remaining [layer] fraction of the squared error of held-out positions that is left
   * @param check what they do to held-out documents; null where unknown
   */
  public record Fitting(
      String corpus,
      long documents,
      long positions,
      long heldOut,
      int batchSize,
      int[] rank,
      double[] remaining,
      Check check)
      implements Serializable {}

  /**
   * Documents that the corrections were not fitted to, decoded in batches of the size that they are for.
   *
   * @param dense perplexity
   * @param sparse perplexity without the corrections
   * @param corrected perplexity with them
   * @param sparseDivergence mean of KL(dense || sparse) over positions, nats
   * @param correctedDivergence likewise, of KL(dense || corrected)
   */
  public record Check(
      int documents,
      double dense,
      double sparse,
      double corrected,
      double sparseDivergence,
      double correctedDivergence)
      implements Serializable {

    /** Next tokens are further from dense's with the corrections than without. */
    public boolean harmful() {
      return correctedDivergence > sparseDivergence;
    }
  }

  public Corrections {
    layers = List.copyOf(layers);
  }

  /** The same in another file. */
  public Corrections in(String other) {
    return new Corrections(other, fitting, layers);
  }

  /** The same with what they do to held-out documents. */
  public Corrections with(Check check) {
    return new Corrections(
        file,
        new Fitting(
            fitting.corpus,
            fitting.documents,
            fitting.positions,
            fitting.heldOut,
            fitting.batchSize,
            fitting.rank,
            fitting.remaining,
            check),
        layers);
  }

  /** The same for some layers, and none for the others. */
  public Corrections of(IntPredicate corrected) {
    return new Corrections(
        file,
        fitting,
        IntStream.range(0, layers.size())
            .mapToObj(
                layer ->
                    corrected.test(layer)
                        ? layers.get(layer)
                        : Correction.none(layers.get(layer).hidden()))
            .toList());
  }

  /** The same with one batch bucket's biases for all. */
  public Corrections only(int bucket) {
    return new Corrections(
        file, fitting, layers.stream().map(layer -> layer.only(bucket)).toList());
  }

  /** The largest of the layers'. */
  public int rank() {
    return layers.stream().mapToInt(Correction::rank).max().orElse(0);
  }

  /** Elements of all layers and buckets. */
  public long parameters() {
    return layers.stream().mapToLong(Correction::parameters).sum();
  }

  /**
   * @param content of the file
   * @param profile that names it, for messages
   * @throws UserException when a tensor is missing or does not fit the others
   */
  static Corrections read(String file, Fitting fitting, byte[] content, String profile) {
    TensorFile tensors = TensorFile.of(profile, file, content);
    List<Correction> layers = new ArrayList<>();
    while (tensors.has(bias(layers.size()))) {
      layers.add(layer(tensors, layers.size(), file, profile));
    }
    if (layers.isEmpty()) {
      throw new UserException(
          "file '" + file + "' of profile '" + profile + "' has no tensor " + bias(0)
              + "; write it again with recover");
    }
    return new Corrections(file, fitting, layers);
  }

  private static Correction layer(TensorFile tensors, int layer, String file, String profile) {
    int buckets = ProfileTensors.extent(tensors, bias(layer), 0, profile);
    int hidden = ProfileTensors.extent(tensors, bias(layer), 1, profile);
    short[] all = ProfileTensors.bf16(tensors.tensor(bias(layer)));
    short[][] bias = new short[buckets][];
    for (int k = 0; k < buckets; k++) {
      bias[k] = Arrays.copyOfRange(all, k * hidden, (k + 1) * hidden);
    }
    if (!tensors.has(down(layer))) {
      return new Correction(0, bias, new short[0], new short[0]);
    }
    int rank = ProfileTensors.extent(tensors, down(layer), 0, profile);
    if (ProfileTensors.extent(tensors, down(layer), 1, profile) != hidden
        || ProfileTensors.extent(tensors, up(layer), 0, profile) != hidden
        || ProfileTensors.extent(tensors, up(layer), 1, profile) != rank) {
      throw new UserException(
          String.format(
              "the corrections of layer %d in '%s' of profile '%s' do not fit together; write them"
                  + " again with recover",
              layer, file, profile));
    }
    return new Correction(
        rank,
        bias,
        ProfileTensors.bf16(tensors.tensor(down(layer))),
        ProfileTensors.bf16(tensors.tensor(up(layer))));
  }

  Map<String, TensorFile.Shaped> tensors() {
    Map<String, TensorFile.Shaped> tensors = new LinkedHashMap<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      Correction c = layers.get(layer);
      int hidden = c.hidden();
      short[] bias = new short[c.bias().length * hidden];
      for (int k = 0; k < c.bias().length; k++) {
        System.arraycopy(c.bias()[k], 0, bias, k * hidden, hidden);
      }
      tensors.put(bias(layer), ProfileTensors.shaped(c.bias().length, hidden, bias));
      if (c.rank() > 0) {
        tensors.put(down(layer), ProfileTensors.shaped(c.rank(), hidden, c.down()));
        tensors.put(up(layer), ProfileTensors.shaped(hidden, c.rank(), c.up()));
      }
    }
    return tensors;
  }

  /** @throws UserException when they are another shape's */
  void requireShape(ModelConfig model, String modelName) {
    if (layers.size() != model.layers()
        || layers.stream().anyMatch(c -> c.hidden() != model.hiddenSize())) {
      throw new UserException(
          String.format(
              "corrections '%s' are of another shape than model '%s' of %d layers and d %d; write them"
                  + " again with recover",
              file, modelName, model.layers(), model.hiddenSize()));
    }
  }

  private static String bias(int layer) {
    return "layers." + layer + ".correction.bias";
  }

  private static String down(int layer) {
    return "layers." + layer + ".correction.down";
  }

  private static String up(int layer) {
    return "layers." + layer + ".correction.up";
  }
}
