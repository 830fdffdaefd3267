// Quantised rows of the transposed down projection as tensor cores take them: a warp's 32 columns of 32
// ranks (rows of the union), whose products with s sum over ranks.
//
// ldmatrix transposes 16 bits at a time, so that f16 need nothing else: of quantised rows, what a lane gets of
// two ranks are two int8 columns or four int4 ones of both, and one mask makes a pair of ranks of a column.
// With the order that weights.cuh gives them, row m of operand i = 0 or 1 is column 16 i + m, as of f16.
#pragma once

#include "weights.cuh"

template <Precision kPrecision>
struct RankPairs {
  static constexpr int kWords = kPrecision == Precision::kInt8 ? 2 : 1;  // pieces of 16 bytes of a row
  uint32_t raw[kWords][4];  // ranks 8 r to 8 r + 7 in the r-th
  uint32_t scale[4];        // of the pairs of ranks 8 r + 2 t

  // `weights` is the first rank's piece of the warp, `scales` the first rank's, 16 bytes a rank, of which the
  // warp's columns have the group-th. Whole warp.
  __device__ void load(const char* weights, int pitch, const char* scales, int group) {
    const int lane = threadIdx.x % kWarp;
    // of the eight groups of columns, one to four lanes
    load_matrix4_transposed(scale, scales + lane * 16);
#pragma unroll
    for (int w = 0; w < kWords; w++) load_matrix4_transposed(raw[w], weights + lane * pitch + w * 16);
#pragma unroll
    for (int r = 0; r < 4; r++) scale[r] = __shfl_sync(kAllLanes, scale[r], group * 4 + lane % 4);
  }

  // Without scales: ranks 8 r + 2 t and the next, of row g (h = 0) and row g + 8 of operand i.
  __device__ void unpack(uint32_t (&pairs)[2][2], int r) const {
    if constexpr (kPrecision == Precision::kInt8) {
#pragma unroll
      for (int i = 0; i < 2; i++) pairs[i][0] = int8_pair(raw[i][r]), pairs[i][1] = int8_pair(raw[i][r] >> 8);
    } else {
      uint32_t four[4];
      int4_pairs(raw[0][r], four);
#pragma unroll
      for (int n = 0; n < 4; n++) pairs[n / 2][n % 2] = four[n];
    }
  }
};
