// Which rows of a range the union has, in ascending order.
#pragma once

#include "common.cuh"

// The rows of [first, end) whose bit is set, or all of them where there are no bits; returns how many.
// first is a multiple of 32. Whole block, ends with a barrier.
__device__ inline int list_rows(const uint32_t* union_bits, int first, int end, int* list) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  if (union_bits == nullptr) {
    for (int i = threadIdx.x; i < end - first; i += blockDim.x) list[i] = first + i;
    __syncthreads();
    return end - first;
  }
  const int words = divide_up(end - first, 32);
  int before = 0;
  for (int at = 0; at < words; at += kWarp) {
    // every warp counts all words and lists its own
    const uint32_t bits = at + lane < words ? __ldcg(union_bits + first / 32 + at + lane) : 0;
    int upto = __popc(bits);
#pragma unroll
    for (int offset = 1; offset < kWarp; offset *= 2) {
      const int below = __shfl_up_sync(kAllLanes, upto, offset);
      if (lane >= offset) upto += below;
    }
    for (int w = warp; w < kWarp && at + w < words; w += warps) {
      const uint32_t of = __shfl_sync(kAllLanes, bits, w);
      const int start = before + __shfl_sync(kAllLanes, upto, w) - __popc(of);
      if (of >> lane & 1) list[start + __popc(of & ((1u << lane) - 1))] = first + (at + w) * 32 + lane;
    }
    before += __shfl_sync(kAllLanes, upto, kWarp - 1);
  }
  __syncthreads();
  return before;
}
