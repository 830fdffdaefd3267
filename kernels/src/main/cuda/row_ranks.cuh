// Which row is the k-th of a union. A union is a bit a neuron, [f / 32] words; its rows in ascending
// order are what a gathered kernel works through, and every block finds its own part of that list:
// counting f / 32 words is cheaper than another kernel that writes the list.
#pragma once

#include "common.cuh"

// Whole block, after depend_wait(). At most 1024 x kWarp rows a thread-word ... f <= 32 * kMostWords.
class RowRanks {
 public:
  static constexpr int kMostWords = 1024;  // f up to 32768

  // Shared memory this needs, in ints.
  static constexpr int kInts = kMostWords + 64;

  // union_bits null: every row. A union of dense_from rows or more is taken as every row too.
  __device__ RowRanks(int* shared, const uint32_t* union_bits, int rows, int dense_from)
      : starts_(shared), rows_(rows), bits_(union_bits) {
    if (bits_ == nullptr) {
      union_ = count_ = rows;
      return;
    }
    int* warp_totals = shared + kMostWords;
    const int words = rows / 32, warps = blockDim.x / kWarp;
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    // a warp counts consecutive words, 32 at a time
    const int each = divide_up(divide_up(words, warps), kWarp) * kWarp;
    int total = 0;
    for (int at = warp * each; at < warp * each + each && at < words; at += kWarp) {
      const int word = at + lane;
      const int ones = word < words ? __popc(__ldcg(bits_ + word)) : 0;
      int upto = ones;
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int below = __shfl_up_sync(kAllLanes, upto, offset);
        if (lane >= offset) upto += below;
      }
      if (word < words) starts_[word] = total + upto - ones;
      total += __shfl_sync(kAllLanes, upto, kWarp - 1);
    }
    if (lane == 0) warp_totals[warp] = total;
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < warps; w++) {
      before += w < warp ? warp_totals[w] : 0;
      all += warp_totals[w];
    }
    for (int word = warp * each + lane; word < warp * each + each && word < words; word += kWarp) starts_[word] += before;
    __syncthreads();
    union_ = all;
    if (all >= dense_from) bits_ = nullptr;
    count_ = bits_ == nullptr ? rows : all;
  }

  // Rows to work through.
  __device__ int count() const { return count_; }
  // Rows of the union, whether it runs dense or not.
  __device__ int union_rows() const { return union_; }
  __device__ bool every_row() const { return bits_ == nullptr; }

  // Writes the rows of ranks first to first + n - 1 to `list` in shared memory; ranks past the last
  // give the last row again. Whole block; ends with a barrier.
  __device__ void list(int first, int n, int* list) const {
    if (bits_ == nullptr) {
      for (int i = threadIdx.x; i < n; i += blockDim.x) list[i] = min(first + i, rows_ - 1);
      __syncthreads();
      return;
    }
    const int words = rows_ / 32, warps = blockDim.x / kWarp;
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int end = min(first + n, count_);
    for (int at = warp * kWarp; at < words; at += warps * kWarp) {
      const int word = at + lane;
      const int start = word < words ? starts_[word] : count_;
      const int next = word + 1 < words ? starts_[word + 1] : count_;
      unsigned touched = __ballot_sync(kAllLanes, start < end && next > first && start < next);
      const uint32_t bits = touched >> lane & 1 ? __ldcg(bits_ + word) : 0;
      while (touched != 0) {
        const int source = __ffs(touched) - 1;
        touched &= touched - 1;
        const uint32_t of = __shfl_sync(kAllLanes, bits, source);
        const int rank = __shfl_sync(kAllLanes, start, source) + __popc(of & ((1u << lane) - 1));
        if ((of >> lane & 1) && rank >= first && rank < end) {
          const int row = (at + source) * 32 + lane;
          list[rank - first] = row;
        }
      }
    }
    __syncthreads();
    if (end < first + n) {
      const int last = end > first ? list[end - first - 1] : 0;
      __syncthreads();
      for (int i = max(end - first, 0) + threadIdx.x; i < n; i += blockDim.x) list[i] = last;
      __syncthreads();
    }
  }

 private:
  int* starts_;
  int rows_;
  const uint32_t* bits_;
  int count_ = 0;
  int union_ = 0;
};
