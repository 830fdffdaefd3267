// kernels' common.cuh and what CUDA brings with it, for simt.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "simt.h"

#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ thread_local  // one host thread runs all of a block
#define threadIdx simt::thread
#define blockIdx simt::block
#define blockDim simt::block_size
#define gridDim simt::grid_size

using std::max;
using std::min;

struct uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// ---- f16 -----------------------------------------------------------------------------------------

typedef _Float16 f16;

constexpr float kNeuronScale = 1.0f / 64;

inline float __half2float(f16 value) { return static_cast<float>(value); }
inline float to_float(f16 value) { return static_cast<float>(value); }

inline uint16_t bits_of(f16 value) {
  uint16_t bits;
  memcpy(&bits, &value, 2);
  return bits;
}

inline f16 f16_of(uint32_t bits) {
  const uint16_t low = static_cast<uint16_t>(bits);
  f16 value;
  memcpy(&value, &low, 2);
  return value;
}

inline f16 to_f16(float value) { return static_cast<f16>(min(max(value, -65504.0f), 65504.0f)); }
inline f16 to_neuron(float s) { return to_f16(s * kNeuronScale); }
inline uint32_t pair_of(f16 low, f16 high) { return bits_of(low) | static_cast<uint32_t>(bits_of(high)) << 16; }
inline uint32_t pack_f16(float low, float high) { return pair_of(to_f16(low), to_f16(high)); }
inline float low_f16(uint32_t pair) { return to_float(f16_of(pair)); }
inline float high_f16(uint32_t pair) { return to_float(f16_of(pair >> 16)); }
inline float2 unpack_f16(uint32_t pair) { return {low_f16(pair), high_f16(pair)}; }

// Each is rounded once: f32 holds any sum and product of two f16, f64 what is fused.
inline uint32_t subtract_f16x2(uint32_t a, uint32_t b) {
  return pair_of(static_cast<f16>(low_f16(a) - low_f16(b)), static_cast<f16>(high_f16(a) - high_f16(b)));
}
inline uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
  return pair_of(static_cast<f16>(low_f16(a) * low_f16(b)), static_cast<f16>(high_f16(a) * high_f16(b)));
}
inline uint32_t fuse_f16x2(uint32_t a, uint32_t b, uint32_t c) {
  return pair_of(static_cast<f16>(static_cast<double>(low_f16(a)) * low_f16(b) + low_f16(c)),
                 static_cast<f16>(static_cast<double>(high_f16(a)) * high_f16(b) + high_f16(c)));
}

inline uint32_t low_twice(uint32_t halves) { return (halves & 0xffff) * 0x10001u; }
inline uint32_t high_twice(uint32_t halves) { return (halves >> 16) * 0x10001u; }
inline uint32_t twice(uint16_t half) { return half * 0x10001u; }

template <uint32_t kMask, uint32_t kBits>
uint32_t masked_or(uint32_t value) { return (value & kMask) | kBits; }
template <uint32_t kMask, uint32_t kBits>
uint32_t masked_xor(uint32_t value) { return (value & kMask) ^ kBits; }

// ---- shared memory ---------------------------------------------------------------------------------

extern __shared__ char shared[];

// From the beginning of what a launch asks for.
inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(static_cast<const char*>(pointer) - shared);
}

// ---- copies --------------------------------------------------------------------------------------

inline void copy_async16(void* shared, const void* global) { simt::copy_async(shared, global, 16); }
inline void copy_async16_lines(void* shared, const void* global) { simt::copy_async(shared, global, 16); }
template <int kBytes>
void copy_async_small(void* shared, const void* global) { simt::copy_async(shared, global, kBytes); }
inline void copy_async16_or_zero(void* shared, const void* global, bool valid) {
  simt::copy_async(shared, valid ? global : nullptr, 16);
}
inline void copy_async4_or_zero(void* shared, const void* global, bool valid) {
  simt::copy_async(shared, valid ? global : nullptr, 4);
}
inline void copy_async_commit() {}
// All of them, however many may be left.
template <int kPending>
void copy_async_wait() { simt::wait_until(simt::copied); }

// ---- warps, blocks, kernels ------------------------------------------------------------------------

enum Operation : int { kSync, kShuffle, kLoadMatrix, kLoadTransposed, kMultiply, kAwaitProducts };

inline void __syncthreads() { simt::barrier_sync(0, blockDim.x); }
inline void __syncwarp() { simt::together(kSync, [](simt::Lane*) {}); }

template <class Value>
Value __shfl_sync(unsigned, Value value, int from) {
  static_assert(sizeof(Value) <= 8);
  simt::mine().in = 0;
  memcpy(&simt::mine().in, &value, sizeof(Value));
  simt::mine().words[0] = from;
  simt::together(kShuffle, [](simt::Lane* lanes) {
    for (int i = 0; i < kWarp; i++) lanes[i].out = lanes[lanes[i].words[0] % kWarp].in;
  });
  Value result;
  memcpy(&result, &simt::mine().out, sizeof(Value));
  return result;
}
inline int kept(int value) { return value; }
template <class Value>
Value warp_uniform(Value value) {
  const Value first = __shfl_sync(kAllLanes, value, 0);
  if (first != value) simt::fail("lanes of a warp differ in what is the same in all");
  return first;
}
template <class Value>
Value __shfl_xor_sync(unsigned mask, Value value, int other) { return __shfl_sync(mask, value, simt::lane() ^ other); }
template <class Value>
Value __shfl_up_sync(unsigned mask, Value value, int by) {
  return __shfl_sync(mask, value, simt::lane() < by ? simt::lane() : simt::lane() - by);
}

inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  unsigned votes = static_cast<unsigned>(predicate) << simt::lane();
  for (int other = 1; other < kWarp; other *= 2) votes |= __shfl_xor_sync(mask, votes, other);
  return votes;
}

inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  for (int other = 1; other < kWarp; other *= 2) value |= __shfl_xor_sync(mask, value, other);
  return value;
}

inline int __popc(uint32_t bits) { return __builtin_popcount(bits); }
inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) result |= static_cast<uint32_t>(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return result;
}
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }

template <class Value>
Value atomicAdd(Value* to, Value value) {
  const Value before = *to;
  *to += value;
  return before;
}
template <class Value>
Value __ldcg(const Value* from) { return *from; }
inline int load_acquire(const int* from) { return *from; }
inline void __threadfence() {}
inline void __trap() { simt::fail("a trap"); }
inline void __nanosleep(unsigned) { simt::yield(); }
inline void depend_wait() {}
inline void depend_release() {}

constexpr int divide_up(int value, int by) { return (value + by - 1) / by; }

// ---- tensor cores ----------------------------------------------------------------------------------

template <int kCount>
void load_matrices(uint32_t (&r)[kCount], const void* row, bool transposed) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) simt::fail("a row of ldmatrix is not aligned");
  simt::mine().pointer = row;
  simt::together(transposed ? kLoadTransposed : kLoadMatrix, [transposed](simt::Lane* lanes) {
    for (int l = 0; l < kWarp; l++)
      for (int k = 0; k < kCount; k++) {
        uint16_t pair[2];
        for (int c = 0; c < 2; c++) {
          const int row = transposed ? l % 4 * 2 + c : l / 4, column = transposed ? l / 4 : l % 4 * 2 + c;
          memcpy(&pair[c], static_cast<const char*>(lanes[8 * k + row].pointer) + 2 * column, 2);
        }
        lanes[l].words[k] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
      }
  });
  for (int k = 0; k < kCount; k++) r[k] = simt::mine().words[k];
}
inline void load_matrix4(uint32_t (&r)[4], const void* row) { load_matrices(r, row, false); }
inline void load_matrix4_transposed(uint32_t (&r)[4], const void* row) { load_matrices(r, row, true); }
inline void load_matrix2_transposed(uint32_t (&r)[2], const void* row) { load_matrices(r, row, true); }

inline void multiply_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  std::copy(a, a + 4, simt::mine().words);
  std::copy(b, b + 2, simt::mine().words + 4);
  std::copy(d, d + 4, simt::mine().sums);
  simt::together(kMultiply, [](simt::Lane* lanes) {
    float left[16][16], right[16][8];
    for (int l = 0; l < kWarp; l++) {
      const int g = l / 4, t = l % 4;
      for (int i = 0; i < 4; i++)
        for (int c = 0; c < 2; c++)
          left[g + i % 2 * 8][2 * t + c + i / 2 * 8] = low_f16(lanes[l].words[i] >> 16 * c);
      for (int i = 0; i < 2; i++)
        for (int c = 0; c < 2; c++) right[2 * t + c + 8 * i][g] = low_f16(lanes[l].words[4 + i] >> 16 * c);
    }
    for (int l = 0; l < kWarp; l++)
      for (int i = 0; i < 4; i++) {
        double sum = lanes[l].sums[i];
        for (int k = 0; k < 16; k++) sum += static_cast<double>(left[l / 4 + i / 2 * 8][k]) * right[k][l % 4 * 2 + i % 2];
        lanes[l].sums[i] = static_cast<float>(sum);
      }
  });
  std::copy(simt::mine().sums, simt::mine().sums + 4, d);
}
