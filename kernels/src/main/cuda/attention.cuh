// What the attention kernels share: the paged pool of keys and values, rotation, and exponentials.
//
// Pool of one layer: keys f16 [pages][kv_heads][64][head_size], values likewise. Position p of the
// sequence in slot s lies in row p % 64 of page table[s][p / 64]; table is int32 [slots][max_pages].
// Entries past a sequence's last position are never read.
#pragma once

#include "common.cuh"

constexpr int kPagePositions = 64;

// 2^x by the special function unit; exactly 0 at -infinity, exactly 1 at 0.
__device__ __forceinline__ float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Elements i and i + head_size / 2 of a head's query or key, by cosine and sine of position and i.
__device__ __forceinline__ void rotate(float& low, float& high, float cosine, float sine) {
  const float rotated = low * cosine - high * sine;
  high = high * cosine + low * sine;
  low = rotated;
}

// Tiles in shared memory have rows of kHeadSize f16 whose 16-byte chunks are permuted by the row, so
// that the eight rows of one 8 x 8 matrix lie in different banks. In elements.
template <int kHeadSize>
__device__ __forceinline__ int swizzled(int row, int chunk) {
  static_assert(kHeadSize % 64 == 0, "a row holds whole groups of 8 chunks");
  return row * kHeadSize + ((chunk ^ (row & 7)) << 3);
}
