package io.rollcall.engine.model;

import io.rollcall.engine.checkpoint.Tensor;
import io.rollcall.engine.checkpoint.TensorSource;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.util.List;
import java.util.stream.IntStream;

/** Turns a checkpoint's tensors into matrices on the heap, one tensor after the other. */
public final class WeightLoader {
  private final ModelTensors tensors;
  private final ModelConfig config;
  private final WeightType type;

  /** @param type of the feed-forward matrices; BF16 keeps what the checkpoint stores */
  public WeightLoader(ModelTensors tensors, WeightType type) {
    this.tensors = tensors;
    this.config = tensors.config();
    this.type = type;
  }

  /** Reads, and quantises where that was asked for. */
  public ModelWeights load() {
    WeightMatrix embedding = matrix(tensors.embedding(), config.vocabulary());
    List<LayerWeights> layers =
        IntStream.range(0, config.layers()).mapToObj(this::layer).toList();
    WeightMatrix head =
        config.tiedEmbeddings() ? embedding : matrix(tensors.head(), config.vocabulary());
    return new ModelWeights(embedding, layers, vector(tensors.norm()), head);
  }

  private LayerWeights layer(int index) {
    ModelTensors.Layer layer = tensors.layer(index);
    int hidden = config.hiddenSize();
    int inner = config.intermediateSize();
    int keys = config.kvHeads() * config.headSize();
    int queries = config.heads() * config.headSize();
    Tensor stored = layer.down().whole();
    WeightMatrix down = WeightMatrix.ofTransposed(stored.type(), inner, hidden, stored.data());
    Tensor output = layer.output().whole();
    return new LayerWeights(
        vector(layer.attentionNorm()),
        matrix(layer.query(), queries),
        matrix(layer.key(), keys),
        matrix(layer.value(), keys),
        WeightMatrix.of(output.type(), hidden, queries, output.data()),
        vector(layer.feedForwardNorm()),
        quantised(matrix(layer.gate(), inner)),
        quantised(matrix(layer.up(), inner)),
        quantised(down),
        down.rowNorms());
  }

  /** [rows x d]. */
  private WeightMatrix matrix(TensorSource source, int rows) {
    Tensor tensor = source.whole();
    return WeightMatrix.of(tensor.type(), rows, config.hiddenSize(), tensor.data());
  }

  private WeightMatrix quantised(WeightMatrix matrix) {
    return type.quantised() ? matrix.quantise(type) : matrix;
  }

  private static float[] vector(TensorSource source) {
    return source.whole().floats();
  }
}
