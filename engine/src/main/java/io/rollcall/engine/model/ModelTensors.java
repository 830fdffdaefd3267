package io.rollcall.engine.model;

import io.rollcall.engine.checkpoint.Checkpoint;
import io.rollcall.engine.checkpoint.TensorSource;

/** A checkpoint's tensors by what they are in the model; shapes are checked against the config. */
public final class ModelTensors {
  private final Checkpoint checkpoint;
  private final Architecture architecture;
  private final ModelConfig config;

  ModelTensors(Checkpoint checkpoint, ModelConfig config) {
    this.checkpoint = checkpoint;
    this.architecture = Architecture.named(config.architecture()).orElseThrow();
    this.config = config;
  }

  /**
   * One layer's tensors.
   *
   * @param attentionNorm [d]
   * @param query [heads*headSize x d]
   * @param key [kvHeads*headSize x d]
   * @param value [kvHeads*headSize x d]
   * @param output [d x heads*headSize]
   * @param feedForwardNorm [d]
   * @param gate [f x d]
   * @param up [f x d]
   * @param down [d x f], as checkpoints store a down projection
   */
  public record Layer(
      TensorSource attentionNorm,
      TensorSource query,
      TensorSource key,
      TensorSource value,
      TensorSource output,
      TensorSource feedForwardNorm,
      TensorSource gate,
      TensorSource up,
      TensorSource down) {}

  public ModelConfig config() {
    return config;
  }

  /** [vocabulary x d]. */
  public TensorSource embedding() {
    return checkpoint.locate(architecture.embedding(), config.vocabulary(), config.hiddenSize());
  }

  /** [vocabulary x d]; the embedding itself where they are tied. */
  public TensorSource head() {
    return config.tiedEmbeddings()
        ? embedding()
        : checkpoint.locate(architecture.head(), config.vocabulary(), config.hiddenSize());
  }

  /** [d], before the head. */
  public TensorSource norm() {
    return checkpoint.locate(architecture.norm(), config.hiddenSize());
  }

  /** @throws io.rollcall.engine.UserException when a tensor is absent or of another shape */
  public Layer layer(int index) {
    Architecture.LayerNames names = architecture.layer(index);
    int hidden = config.hiddenSize();
    int inner = config.intermediateSize();
    int queries = config.heads() * config.headSize();
    int keys = config.kvHeads() * config.headSize();
    return new Layer(
        checkpoint.locate(names.attentionNorm(), hidden),
        checkpoint.locate(names.query(), queries, hidden),
        checkpoint.locate(names.key(), keys, hidden),
        checkpoint.locate(names.value(), keys, hidden),
        checkpoint.locate(names.output(), hidden, queries),
        checkpoint.locate(names.feedForwardNorm(), hidden),
        checkpoint.locate(names.gate(), inner, hidden),
        checkpoint.locate(names.up(), inner, hidden),
        checkpoint.locate(names.down(), hidden, inner));
  }
}
