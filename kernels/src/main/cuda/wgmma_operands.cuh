// Where a product of a warpgroup finds b in shared memory (warpgroup.cuh), as the descriptors that wgmma takes.
#pragma once

#include "common.cuh"

// Rows of b in shared memory, from a byte offset that is a multiple of 32 and below 128 on: 128-byte
// swizzle, groups of eight rows 1024 bytes apart.
struct WgmmaRows {
  uint32_t low;

  __device__ explicit WgmmaRows(const void* rows) : low(warp_uniform(shared_address(rows) >> 4 | 1u << 16)) {}
  __device__ uint64_t at(uint32_t bytes) const {
    return static_cast<uint64_t>(1u << 30 | 1024u >> 4) << 32 | (low + (bytes >> 4));
  }
};

template <int kColumns>
struct WgmmaColumns {
  static constexpr uint32_t kRowBytes = kColumns * 2;
  static constexpr uint32_t kEightRows = 8 * kRowBytes >> 4;
  static_assert(kColumns == 32 || kColumns == 64, "a row is one swizzled run");
  uint32_t low;

  // Where a row's 16-byte piece lies: 64 bytes' swizzle repeats every two rows.
  __device__ static uint32_t place(int row, int piece) {
    return row * kRowBytes + (piece ^ (kColumns == 64 ? row & 7 : row >> 1 & 3)) * 16;
  }

  // Both offsets are that of the next eight rows; there are no further columns to be found by the other.
  __device__ explicit WgmmaColumns(const void* rows) : low(warp_uniform(shared_address(rows) >> 4 | kEightRows << 16)) {}
  // From a row on that is a multiple of 16.
  __device__ uint64_t at(int row) const {
    constexpr uint32_t kSwizzle = kColumns == 64 ? 1 : 2;
    return static_cast<uint64_t>(kSwizzle << 30 | kEightRows) << 32 | (low + (row * kRowBytes >> 4));
  }
};
