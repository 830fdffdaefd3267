package io.rollcall.engine.model;

import io.rollcall.engine.checkpoint.Checkpoint;
import io.rollcall.engine.checkpoint.Tensor;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.util.List;
import java.util.stream.IntStream;

/** Turns a checkpoint's tensors into matrices, one tensor after the other. */
final class WeightLoader {
  private final Checkpoint checkpoint;
  private final Architecture architecture;
  private final ModelConfig config;
  private final WeightType type;

  /** @param type of the feed-forward matrices; BF16 keeps what the checkpoint stores */
  WeightLoader(Checkpoint checkpoint, ModelConfig config, WeightType type) {
    this.checkpoint = checkpoint;
    this.architecture = Architecture.named(config.architecture()).orElseThrow();
    this.config = config;
    this.type = type;
  }

  ModelWeights load() {
    int vocabulary = config.vocabulary();
    int hidden = config.hiddenSize();
    WeightMatrix embedding = matrix(architecture.embedding(), vocabulary, hidden);
    List<LayerWeights> layers =
        IntStream.range(0, config.layers()).mapToObj(this::layer).toList();
    WeightMatrix head =
        config.tiedEmbeddings() ? embedding : matrix(architecture.head(), vocabulary, hidden);
    return new ModelWeights(embedding, layers, vector(architecture.norm()), head);
  }

  private LayerWeights layer(int index) {
    Architecture.LayerNames names = architecture.layer(index);
    int hidden = config.hiddenSize();
    int inner = config.intermediateSize();
    int queries = config.heads() * config.headSize();
    int keys = config.kvHeads() * config.headSize();
    WeightMatrix down = transposed(names.down(), inner, hidden);
    return new LayerWeights(
        vector(names.attentionNorm()),
        matrix(names.query(), queries, hidden),
        matrix(names.key(), keys, hidden),
        matrix(names.value(), keys, hidden),
        matrix(names.output(), hidden, queries),
        vector(names.feedForwardNorm()),
        quantised(matrix(names.gate(), inner, hidden)),
        quantised(matrix(names.up(), inner, hidden)),
        quantised(down),
        down.rowNorms());
  }

  private WeightMatrix matrix(String name, int rows, int columns) {
    Tensor tensor = checkpoint.tensor(name, rows, columns);
    return WeightMatrix.of(tensor.type(), rows, columns, tensor.data());
  }

  private WeightMatrix transposed(String name, int rows, int columns) {
    Tensor tensor = checkpoint.tensor(name, columns, rows);
    return WeightMatrix.ofTransposed(tensor.type(), rows, columns, tensor.data());
  }

  private WeightMatrix quantised(WeightMatrix matrix) {
    return type.quantised() ? matrix.quantise(type) : matrix;
  }

  private float[] vector(String name) {
    return checkpoint.tensor(name, config.hiddenSize()).floats();
  }
}
