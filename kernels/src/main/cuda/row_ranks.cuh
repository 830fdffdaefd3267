// Which row is the k-th of a union. A union is a bit a neuron, [f / 32] words; its rows in ascending
// order are what a gathered kernel works through, and every block finds its own part of that list:
// counting f / 32 words is cheaper than another kernel that writes the list.
#pragma once

#include "common.cuh"

// Whole block, after depend_wait(). f up to 32 * kMostWords.
class RowRanks {
 public:
  static constexpr int kMostWords = 1024;

  // Shared memory this needs, in ints.
  static constexpr int kInts = 2 * kMostWords + kWarp;

  // union_bits null: every row. A union of dense_from rows or more is taken as every row too.
  __device__ RowRanks(int* shared, const uint32_t* union_bits, int rows, int dense_from)
      : bits_(reinterpret_cast<uint32_t*>(shared)), starts_(shared + kMostWords), rows_(rows), words_(rows / 32) {
    every_ = union_bits == nullptr;
    if (every_) {
      union_ = count_ = rows;
      return;
    }
    // all of a thread's words are asked for at once
    constexpr int kEach = 8;
    for (int at = threadIdx.x; at < words_; at += kEach * blockDim.x) {
      uint32_t words[kEach];
#pragma unroll
      for (int i = 0; i < kEach; i++) {
        const int word = at + i * blockDim.x;
        words[i] = word < words_ ? __ldcg(union_bits + word) : 0;
      }
#pragma unroll
      for (int i = 0; i < kEach; i++) {
        const int word = at + i * blockDim.x;
        if (word < words_) bits_[word] = words[i];
      }
    }
    __syncthreads();
    int* warp_totals = shared + 2 * kMostWords;
    const int warps = blockDim.x / kWarp, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int each = divide_up(divide_up(words_, warps), kWarp) * kWarp;
    int total = 0;
    for (int at = warp * each; at < warp * each + each && at < words_; at += kWarp) {
      const int word = at + lane;
      const int ones = word < words_ ? __popc(bits_[word]) : 0;
      int upto = ones;
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int below = __shfl_up_sync(kAllLanes, upto, offset);
        if (lane >= offset) upto += below;
      }
      if (word < words_) starts_[word] = total + upto - ones;
      total += __shfl_sync(kAllLanes, upto, kWarp - 1);
    }
    if (lane == 0) warp_totals[warp] = total;
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < warps; w++) {
      before += w < warp ? warp_totals[w] : 0;
      all += warp_totals[w];
    }
    for (int word = warp * each + lane; word < warp * each + each && word < words_; word += kWarp) starts_[word] += before;
    __syncthreads();
    union_ = all;
    every_ = all >= dense_from;
    count_ = every_ ? rows : all;
  }

  // Rows to work through.
  __device__ int count() const { return count_; }
  // Rows of the union, whether it runs dense or not.
  __device__ int union_rows() const { return union_; }
  __device__ bool every_row() const { return every_; }

  // Writes the rows of ranks first to first + n - 1 to `list` in shared memory; ranks past the last
  // give the last row again. Whole block; ends with a barrier.
  __device__ void list(int first, int n, int* list) const {
    for (int i = threadIdx.x; i < n; i += blockDim.x) list[i] = row(min(first + i, count_ - 1));
    __syncthreads();
  }

 private:
  __device__ int row(int rank) const {
    if (every_) return rank;
    // the last word that starts at or before the rank
    int low = 0, high = words_ - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (starts_[middle] <= rank) low = middle; else high = middle - 1;
    }
    // its rank-th bit, by halving
    uint32_t bits = bits_[low];
    int left = rank - starts_[low], position = 0;
#pragma unroll
    for (int width = 16; width > 0; width /= 2) {
      const int below = __popc(bits & ((1u << width) - 1));
      if (left >= below) {
        left -= below;
        bits >>= width;
        position += width;
      }
    }
    return low * 32 + position;
  }

  uint32_t* bits_;
  int* starts_;
  int rows_, words_;
  bool every_;
  int count_ = 0, union_ = 0;
};
