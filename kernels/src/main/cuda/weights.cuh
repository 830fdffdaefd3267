// How a weight row lies in device memory, and how 128 bytes of it become tensor-core fragments.
// Rows are contiguous. A `step` is 128 bytes of a row: 64 f16, 128 int8 or 256 int4 elements.
//
//   f16   in order.
//   int8  of each aligned 16 columns, byte b of the 32-bit word t is column 2 t + 8 (b % 2) + b / 2.
//   int4  of each aligned 32 columns, nibble n of the word t, value + 8, is column 2 t + 8 (n % 4) + n / 4.
//
// So bytes b and b + 2 of a word, or nibbles n and n + 4, are the two neighbours that a lane of a fragment has
// in a register: lane t of four takes the word t, as ldmatrix gives it, and the fragments' columns are in order.
// Transposed by ldmatrix, 16 bits at a time, the words' halves are in order too (rank_pairs.cuh).
//
// Quantised rows have an f16 scale for each 32 columns, [rows x columns / 32].
#pragma once

#include "common.cuh"

enum class Precision { kF16, kInt8, kInt4 };

template <Precision kPrecision>
struct Format {
  static constexpr int kBits = kPrecision == Precision::kF16 ? 16 : kPrecision == Precision::kInt8 ? 8 : 4;
  static constexpr bool kQuantised = kPrecision != Precision::kF16;
  static constexpr int kStepBytes = 128;
  static constexpr int kStepColumns = kStepBytes * 8 / kBits;
  // f16 scales of a row in a step, in bytes
  static constexpr int kScaleBytes = kQuantised ? kStepColumns / 32 * 2 : 0;

  __device__ static int row_bytes(int columns) { return columns / 8 * kBits; }
};

// A matrix whose rows are taken by tiles.
struct StreamedMatrix {
  const char* elements;
  const uint16_t* scales;
  int columns;
};

constexpr uint32_t kF16Of1024 = 0x64006400u;  // twice 1024: its low 10 bits count units
constexpr uint32_t kF16Of1152 = 0x64806480u;
constexpr uint32_t kF16Of1032 = 0x64086408u;
constexpr uint32_t kF16OfSixteenth = 0x2c002c00u;
constexpr uint32_t kF16OfMinus72 = 0xd480d480u;

// The bytes at bits 0 to 7 and 16 to 23, two's complement, as f16: exact. With the sign bit flipped a
// byte is its value + 128, which 1024's low bits take.
__device__ __forceinline__ uint32_t int8_pair(uint32_t bytes) {
  return subtract_f16x2(masked_xor<0x00ff00ffu, 0x00800080u | kF16Of1024>(bytes), kF16Of1152);
}

// The nibbles at bits 0 to 3 and 16 to 19, value + 8, as f16: exact.
__device__ __forceinline__ uint32_t int4_pair(uint32_t nibbles) {
  return subtract_f16x2(masked_or<0x000f000fu, kF16Of1024>(nibbles), kF16Of1032);
}

// The nibbles at bits 4 to 7 and 20 to 23, likewise: there they are 1024's sixteens.
__device__ __forceinline__ uint32_t int4_pair_above(uint32_t nibbles) {
  return fuse_f16x2(masked_or<0x00f000f0u, kF16Of1024>(nibbles), kF16OfSixteenth, kF16OfMinus72);
}

// The four pairs of a word, lowest first.
__device__ __forceinline__ void int4_pairs(uint32_t nibbles, uint32_t (&pairs)[4]) {
  const uint32_t above = nibbles >> 8;
  pairs[0] = int4_pair(nibbles), pairs[1] = int4_pair_above(nibbles);
  pairs[2] = int4_pair(above), pairs[3] = int4_pair_above(above);
}
