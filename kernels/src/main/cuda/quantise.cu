// Symmetric quantisation in groups of 32 along a row, and back.
//
//   scale = max|w| / 127 (INT8) or / 7 (INT4), rounded to f16;  q = rint(w / scale), clamped
//
// bit for bit what WeightMatrix.quantise does on the CPU. Layouts as in DeviceMatrix: INT8 in groups of
// four bytes e0 e2 e1 e3; INT4 in words of eight nibbles e0 e2 e4 e6 e1 e3 e5 e7, each plus 8. Scales f16
// [rows][columns / 32].
//
// A thread takes eight neighbours of a row, four threads a group. Rows are contiguous and columns a
// multiple of 64, so the matrix is one run of groups and its shape does not matter here.
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

__device__ __forceinline__ uint32_t byte(int q, int at) { return static_cast<uint32_t>(q & 0xff) << (8 * at); }

// Place of element e of eight among the nibbles of a word.
__device__ __forceinline__ constexpr int nibble_of(int e) { return e % 2 * 4 + e / 2; }

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
  if (kBits == 8) {
    static_cast<uint2*>(elements)[i] = make_uint2(byte(q[0], 0) | byte(q[2], 1) | byte(q[1], 2) | byte(q[3], 3),
                                                  byte(q[4], 0) | byte(q[6], 1) | byte(q[5], 2) | byte(q[7], 3));
  } else {
    uint32_t word = 0;
#pragma unroll
    for (int e = 0; e < 8; e++) word |= static_cast<uint32_t>(q[e] + 8) << (4 * nibble_of(e));
    static_cast<uint32_t*>(elements)[i] = word;
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
    const uint2* elements, const __half* scales, f16* out, long long eights) {
  depend_release();
  depend_wait();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  const uint2 v = elements[i];
  const float scale = __half2float(scales[i / 4]);
  reinterpret_cast<uint4*>(out)[i] =
      make_uint4(pack_f16(signed_byte(v.x, 0) * scale, signed_byte(v.x, 2) * scale),
                 pack_f16(signed_byte(v.x, 1) * scale, signed_byte(v.x, 3) * scale),
                 pack_f16(signed_byte(v.y, 0) * scale, signed_byte(v.y, 2) * scale),
                 pack_f16(signed_byte(v.y, 1) * scale, signed_byte(v.y, 3) * scale));
}

extern "C" __global__ void __launch_bounds__(256) dequantise_int4(
    const uint32_t* elements, const __half* scales, f16* out, long long eights) {
  depend_release();
  depend_wait();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  const uint32_t word = elements[i];
  const float scale = __half2float(scales[i / 4]);
  float w[8];
#pragma unroll
  for (int e = 0; e < 8; e++) {
    w[e] = static_cast<float>(static_cast<int>(word >> (4 * nibble_of(e)) & 15) - 8) * scale;
  }
  reinterpret_cast<uint4*>(out)[i] =
      make_uint4(pack_f16(w[0], w[1]), pack_f16(w[2], w[3]), pack_f16(w[4], w[5]), pack_f16(w[6], w[7]));
}
