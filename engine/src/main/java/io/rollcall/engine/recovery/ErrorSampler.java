package io.rollcall.engine.recovery;

import io.rollcall.engine.algebra.Products;
import io.rollcall.engine.evaluation.PositionListener;
import io.rollcall.engine.evaluation.ReferencedDocument;
import io.rollcall.engine.runner.ObservedLayer;
import io.rollcall.engine.sparsity.BatchBuckets;
import java.util.List;
import java.util.stream.Stream;

/**
 * Gathers inputs and errors of some layers from a dense and a sparse runner that take the same steps.
 *
 * <p>The first layer's error is that of the residual stream after it: what it drops itself, and what
 * the layers before it have left. The others' is what they drop themselves, dense output less sparse
 * output of the same input; what came from before is the first one's already.
 */
final class ErrorSampler implements PositionListener {
  /** Of so many documents one is held out. */
  private static final int HELD_OUT = 8;

  private final LayerRange layers;
  private final int hidden;
  private final int buckets;
  private final List<Layer> sampled;
  private final float[] stream;
  /** Rows of the step that documents have been told for. */
  private int row;

  /** One layer's step, and the sums that its rows go to. */
  private static final class Layer {
    final CorrectionStatistics statistics;
    final float[] inputs;
    final float[] errors;
    final double[] weights;
    final MomentBuffer training;
    final MomentBuffer heldOut;

    Layer(CorrectionStatistics statistics, int hidden, int batchSize, Products products) {
      this.statistics = statistics;
      inputs = new float[batchSize * hidden];
      errors = new float[batchSize * hidden];
      weights = new double[batchSize];
      training = new MomentBuffer(statistics.training(), products);
      heldOut = new MomentBuffer(statistics.heldOut(), products);
    }

    Stream<MomentBuffer> buffers() {
      return Stream.of(training, heldOut);
    }
  }

  /**
   * @param statistics [layer of the range], added to
   * @param batchSize most sequences in a step
   */
  ErrorSampler(
      LayerRange layers, List<CorrectionStatistics> statistics, int batchSize, Products products) {
    this.layers = layers;
    hidden = statistics.get(0).training().hidden();
    buckets = statistics.get(0).training().buckets();
    stream = new float[batchSize * hidden];
    sampled =
        statistics.stream().map(s -> new Layer(s, hidden, batchSize, products)).toList();
  }

  /** A layer of the dense runner, which goes first. */
  void dense(ObservedLayer layer) {
    if (layer.index() == layers.first()) {
      for (int i = 0; i < layer.batch() * hidden; i++) {
        stream[i] = layer.residual()[i] + layer.output()[i];
      }
    }
  }

  /** A layer of the sparse runner. */
  void sparse(ObservedLayer layer) {
    if (!layers.contains(layer.index())) {
      return;
    }
    Layer to = sampled.get(layer.index() - layers.first());
    int n = layer.batch() * hidden;
    System.arraycopy(layer.input(), 0, to.inputs, 0, n);
    boolean first = layer.index() == layers.first();
    if (!first) {
      layer.dense().accept(to.errors);
    }
    for (int i = 0; i < n; i++) {
      float exact = first ? stream[i] - layer.residual()[i] : to.errors[i];
      to.errors[i] = exact - layer.output()[i];
    }
    for (int b = 0; b < layer.batch(); b++) {
      to.weights[b] = weight(layer, to.errors, b * hidden);
    }
    row = 0;
  }

  /** One over the mean square of the stream as it should be. */
  private double weight(ObservedLayer layer, float[] errors, int offset) {
    double squares = 0;
    for (int i = offset; i < offset + hidden; i++) {
      double exact = (double) layer.residual()[i] + layer.output()[i] + errors[i];
      squares += exact * exact;
    }
    return hidden / Math.max(squares, 1e-20);
  }

  @Override
  public void position(
      ReferencedDocument document,
      int position,
      int next,
      int batch,
      float[][] logits,
      int offset) {
    int bucket = Math.min(BatchBuckets.of(batch), buckets - 1);
    boolean heldOut = document.index() % HELD_OUT == HELD_OUT - 1;
    for (Layer layer : sampled) {
      (heldOut ? layer.heldOut : layer.training)
          .add(bucket, layer.weights[row], layer.inputs, layer.errors, row * hidden);
    }
    row++;
  }

  /** All that was seen is in the statistics after this. */
  void finish() {
    sampled.stream().flatMap(Layer::buffers).forEach(MomentBuffer::flush);
  }
}
