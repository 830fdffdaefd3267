// Which rows of a range the union has, in ascending order.
#pragma once

#include "common.cuh"

// The rows of [first, end) whose bit is set, or all of them where there are no bits or every() says so;
// returns how many. every() is asked once the first bits are on their way. After them comes -1 up to a
// multiple of `whole`. first is a multiple of 32. Whole block, ends with a barrier.
template <class Every>
__device__ inline int list_rows(const uint32_t* union_bits, const Every& every, int first, int end, int whole,
                                int* list) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  const int words = divide_up(end - first, 32);
  const auto word = [&](int at) { return at + lane < words ? __ldcg(union_bits + first / 32 + at + lane) : 0; };
  uint32_t bits = union_bits == nullptr ? 0 : word(0);
  int count = 0;
  if (union_bits == nullptr || every()) {
    count = end - first;
    for (int i = threadIdx.x; i < count; i += blockDim.x) list[i] = first + i;
  } else {
    for (int at = 0; at < words; at += kWarp) {
      const uint32_t next = word(at + kWarp);
      // every warp counts all words and lists its own
      int upto = __popc(bits);
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int below = __shfl_up_sync(kAllLanes, upto, offset);
        if (lane >= offset) upto += below;
      }
      for (int w = warp; w < kWarp && at + w < words; w += warps) {
        const uint32_t of = __shfl_sync(kAllLanes, bits, w);
        const int start = count + __shfl_sync(kAllLanes, upto, w) - __popc(of);
        if (of >> lane & 1) list[start + __popc(of & ((1u << lane) - 1))] = first + (at + w) * 32 + lane;
      }
      count += __shfl_sync(kAllLanes, upto, kWarp - 1);
      bits = next;
    }
  }
  for (int i = count + threadIdx.x; i < divide_up(count, whole) * whole; i += blockDim.x) list[i] = -1;
  __syncthreads();
  return count;
}
