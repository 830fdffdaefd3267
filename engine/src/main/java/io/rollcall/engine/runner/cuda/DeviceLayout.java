package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.DeviceMatrix;

/**
 * Which matrices a model has on a device, and at what precision: feed-forward as asked; projections and
 * head at least int8, to which they lose nothing that can be measured; the embedding table in f16,
 * since a step reads a row of it a sequence.
 *
 * @param feedForward F16, INT8 or INT4
 * @param projections F16 or INT8
 */
record DeviceLayout(ModelConfig config, WeightType feedForward, WeightType projections) {
  private static final int COLUMNS = 64;
  private static final int MOST_HIDDEN = 16384;
  private static final int MOST_INTERMEDIATE = 32768;
  private static final int MOST_GROUP = 8;

  /** @throws UserException when the kernels do not cover the model */
  static DeviceLayout of(String model, ModelConfig config, WeightType weights) {
    int d = config.hiddenSize();
    int f = config.intermediateSize();
    int group = config.heads() / config.kvHeads();
    require(d % COLUMNS == 0 && d <= MOST_HIDDEN, model, "hidden_size " + d,
        "a multiple of " + COLUMNS + " up to " + MOST_HIDDEN);
    require(f % COLUMNS == 0 && f <= MOST_INTERMEDIATE, model, "intermediate_size " + f,
        "a multiple of " + COLUMNS + " up to " + MOST_INTERMEDIATE);
    require(config.headSize() == 64 || config.headSize() == 128, model,
        "heads of " + config.headSize() + " elements", "64 or 128");
    require(group <= MOST_GROUP, model, group + " query heads to a key/value head",
        "at most " + MOST_GROUP);
    WeightType projections = weights.quantised() ? WeightType.INT8 : WeightType.F16;
    return new DeviceLayout(
        config, weights.quantised() ? weights : WeightType.F16, projections);
  }

  private static void require(boolean holds, String model, String found, String wanted) {
    if (!holds) {
      throw new UserException(
          "model '" + model + "' has " + found + "; the CUDA backend computes with " + wanted
              + ": use --backend cpu");
    }
  }

  int queryKeyValueRows() {
    return (config.heads() + 2 * config.kvHeads()) * config.headSize();
  }

  /** Width of a token's attended heads. */
  int headColumns() {
    return config.heads() * config.headSize();
  }

  /** Whether the head is a matrix of its own, not the embedding table. */
  boolean ownHead() {
    return !config.tiedEmbeddings() || projections.quantised();
  }

  /** Bytes of all weights. */
  long bytes() {
    int d = config.hiddenSize();
    int f = config.intermediateSize();
    long layer =
        bytes(projections, queryKeyValueRows(), d)
            + bytes(projections, d, headColumns())
            + bytes(feedForward, 3 * f, d)
            + 2L * d * Float.BYTES;
    long head = ownHead() ? bytes(projections, config.vocabulary(), d) : 0;
    return config.layers() * layer
        + bytes(WeightType.F16, config.vocabulary(), d)
        + head
        + (long) d * Float.BYTES;
  }

  private static long bytes(WeightType type, int rows, int columns) {
    return DeviceMatrix.elementBytes(type, rows, columns)
        + DeviceMatrix.scaleBytes(type, rows, columns);
  }
}
