package io.rollcall.kernels.cpu;

import io.rollcall.kernels.AttentionShape;

/** The arguments of {@link io.rollcall.kernels.Kernels#attention}. */
record AttentionCall(
    AttentionShape shape,
    float[] q,
    float[] keys,
    float[] values,
    int[] slotOffsets,
    int[] positions,
    int tokens,
    float[] out) {

  /** Where token's first query head of key/value head {@code kvHead} begins in q and out. */
  int queryOffset(int token, int kvHead) {
    return (token * shape.heads() + kvHead * shape.groupSize()) * shape.headSize();
  }

  /** Where the keys and values of position 0 begin. */
  int cacheOffset(int token, int kvHead) {
    return slotOffsets[token] + shape.offset(kvHead, 0);
  }
}
