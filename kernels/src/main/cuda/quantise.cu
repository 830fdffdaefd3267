// Symmetric quantisation in groups of 32 along a row, and back.
//
//   scale = max|w| / 127 (INT8) or / 7 (INT4), rounded to f16;  q = rint(w / scale), clamped
//
// bit for bit what WeightMatrix.quantise does on the CPU. Layouts as in weights.cuh, scales f16
// [rows][columns / 32].
//
// A thread takes eight neighbours of a row, four threads a group, which hand each other what belongs into the
// same words. Rows are contiguous and columns a multiple of 64, so the matrix is one run of groups and its shape
// does not matter here.
#include "bf16.cuh"
#include "common.cuh"

namespace {

struct Eight {
  float w[8];
};

__device__ __forceinline__ Eight load8(const bf16* from, long long i) {
  const uint4 v = reinterpret_cast<const uint4*>(from)[i];
  return Eight{{low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y), low_bf16(v.z), high_bf16(v.z),
                low_bf16(v.w), high_bf16(v.w)}};
}

__device__ __forceinline__ Eight load8(const __half* from, long long i) {
  const uint4 v = reinterpret_cast<const uint4*>(from)[i];
  const float2 a = __half22float2(*reinterpret_cast<const __half2*>(&v.x));
  const float2 b = __half22float2(*reinterpret_cast<const __half2*>(&v.y));
  const float2 c = __half22float2(*reinterpret_cast<const __half2*>(&v.z));
  const float2 d = __half22float2(*reinterpret_cast<const __half2*>(&v.w));
  return Eight{{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

__device__ __forceinline__ Eight load8(const float* from, long long i) {
  const float4 a = reinterpret_cast<const float4*>(from)[2 * i];
  const float4 b = reinterpret_cast<const float4*>(from)[2 * i + 1];
  return Eight{{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ __forceinline__ int quantised(float w, float scale, float most) {
  return scale == 0.0f ? 0 : static_cast<int>(fminf(fmaxf(rintf(__fdiv_rn(w, scale)), -most), most));
}

__device__ __forceinline__ uint32_t bytes(const int* q) {
  return (q[0] & 0xff) | (q[1] & 0xff) << 8 | (q[2] & 0xff) << 16 | static_cast<uint32_t>(q[3]) << 24;
}

// The eighth-th eight of 16 columns: two words of the four, each with two columns of this thread and two
// of its neighbour.
__device__ __forceinline__ uint2 int8_words(const int (&q)[8], int eighth, unsigned group) {
  const uint32_t low = bytes(q), high = bytes(q + 4);
  const uint32_t other = __shfl_xor_sync(group, eighth == 0 ? high : low, 1);
  const uint32_t first = eighth == 0 ? low : other, second = eighth == 0 ? other : high;
  return make_uint2(__byte_perm(first, second, 0x5140), __byte_perm(first, second, 0x7362));
}

// The eighth-th eight of 32 columns: the word of that number, with two columns of each of the four threads.
__device__ __forceinline__ uint32_t int4_word(const int (&q)[8], int eighth, unsigned group) {
  uint32_t own = 0;
#pragma unroll
  for (int t = 0; t < 4; t++) {
    uint32_t word = static_cast<uint32_t>(q[2 * t] + 8) << 4 * eighth | static_cast<uint32_t>(q[2 * t + 1] + 8) << (4 * eighth + 16);
    word |= __shfl_xor_sync(group, word, 1);
    word |= __shfl_xor_sync(group, word, 2);
    if (t == eighth) own = word;
  }
  return own;
}

template <int kBits, typename Source>
__device__ __forceinline__ void quantise(const Source* in, void* elements, __half* scales, long long eights) {
  constexpr float kMost = kBits == 8 ? 127.0f : 7.0f;
  depend_release();
  depend_wait();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= eights) return;  // whole groups of four threads, since columns are a multiple of 64
  const Eight eight = load8(in, i);
  float largest = 0.0f;
#pragma unroll
  for (int e = 0; e < 8; e++) largest = fmaxf(largest, fabsf(eight.w[e]));
  const unsigned group = 0xfu << (threadIdx.x % kWarp / 4 * 4);
  largest = fmaxf(largest, __shfl_xor_sync(group, largest, 1));
  largest = fmaxf(largest, __shfl_xor_sync(group, largest, 2));
  const __half half = __float2half_rn(fminf(__fdiv_rn(largest, kMost), 65504.0f));
  const float scale = __half2float(half);
  if (i % 4 == 0) scales[i / 4] = half;
  int q[8];
#pragma unroll
  for (int e = 0; e < 8; e++) q[e] = quantised(eight.w[e], scale, kMost);
  if constexpr (kBits == 8) {
    static_cast<uint2*>(elements)[i] = int8_words(q, i % 2, group);
  } else {
    static_cast<uint32_t*>(elements)[i] = int4_word(q, i % 4, group);
  }
}

__device__ __forceinline__ float signed_byte(uint32_t word, int at) {
  return static_cast<float>(static_cast<int8_t>(word >> (8 * at)));
}

}  // namespace

// Grid: eights = rows * columns / 8 threads. Bytes an element: those of the source, 1 or 0.5, 1/16.
#define QUANTISE_KERNELS(NAME, SOURCE)                                                                   \
  extern "C" __global__ void __launch_bounds__(256) quantise_##NAME##_int8(                              \
      const SOURCE* in, void* elements, __half* scales, long long eights) {                              \
    quantise<8>(in, elements, scales, eights);                                                           \
  }                                                                                                      \
  extern "C" __global__ void __launch_bounds__(256) quantise_##NAME##_int4(                              \
      const SOURCE* in, void* elements, __half* scales, long long eights) {                              \
    quantise<4>(in, elements, scales, eights);                                                           \
  }

QUANTISE_KERNELS(bf16, bf16)
QUANTISE_KERNELS(f16, __half)
QUANTISE_KERNELS(f32, float)

// out f16, q * scale rounded once. Grid as above, over the rows wanted: the caller moves the pointers.
extern "C" __global__ void __launch_bounds__(256) dequantise_int8(
    const uint4* elements, const __half* scales, f16* out, long long eights) {
  depend_release();
  depend_wait();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  const uint4 words = elements[i / 2];
  const float scale = __half2float(scales[i / 4]);
  const int at = static_cast<int>(i % 2);
  const auto pair = [&](uint32_t word) {
    return pack_f16(signed_byte(word, at) * scale, signed_byte(word, at + 2) * scale);
  };
  reinterpret_cast<uint4*>(out)[i] = make_uint4(pair(words.x), pair(words.y), pair(words.z), pair(words.w));
}

extern "C" __global__ void __launch_bounds__(256) dequantise_int4(
    const uint4* elements, const __half* scales, f16* out, long long eights) {
  depend_release();
  depend_wait();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  const uint4 words = elements[i / 4];
  const float scale = __half2float(scales[i / 4]);
  const int at = static_cast<int>(i % 4);
  const auto value = [&](uint32_t word, int nibble) {
    return static_cast<float>(static_cast<int>(word >> 4 * nibble & 15) - 8) * scale;
  };
  const auto pair = [&](uint32_t word) { return pack_f16(value(word, at), value(word, at + 4)); };
  reinterpret_cast<uint4*>(out)[i] = make_uint4(pair(words.x), pair(words.y), pair(words.z), pair(words.w));
}
