// What a checkpoint's tensor goes through on its way into device memory: transposition of 16-bit
// elements, and changes of type.
#include "bf16.cuh"
#include "common.cuh"

namespace {
__device__ __forceinline__ float to_float(float value) { return value; }

constexpr int kTile = 64;
// An odd number of words a row, so that a column is read from 16 banks.
constexpr int kStride = kTile + 2;
}  // namespace

// out[c][at + r] = in[r][c] for 16-bit elements of any type: one chunk of a tensor's rows, so that a
// tensor can be turned as it arrives.
// in [rows x columns]; out [columns x out_stride]; all of rows, columns, at, out_stride are even.
// Grid: columns / 64 by rows / 64, rounded up; 256 threads. Bytes: 4 an element.
extern "C" __global__ void __launch_bounds__(256) transpose_halves(
    const uint16_t* in, int rows, int columns, uint16_t* out, int out_stride, int at) {
  __shared__ __align__(4) uint16_t tile[kTile][kStride];
  depend_release();
  depend_wait();
  const int column0 = blockIdx.x * kTile, row0 = blockIdx.y * kTile;
  const int pair = 2 * (threadIdx.x % kWarp), first = threadIdx.x / kWarp;
#pragma unroll
  for (int i = 0; i < kTile / 8; i++) {
    const int r = first + 8 * i;
    if (row0 + r < rows && column0 + pair < columns) {
      *reinterpret_cast<uint32_t*>(&tile[r][pair]) =
          *reinterpret_cast<const uint32_t*>(in + static_cast<long long>(row0 + r) * columns + column0 + pair);
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kTile / 8; i++) {
    const int c = first + 8 * i;
    if (column0 + c < columns && row0 + pair < rows) {
      const uint32_t two = tile[pair][c] | static_cast<uint32_t>(tile[pair + 1][c]) << 16;
      *reinterpret_cast<uint32_t*>(out + static_cast<long long>(column0 + c) * out_stride + at + row0 + pair) = two;
    }
  }
}

// out[i] = in[i] as f16, rounded to nearest even; sets *beyond where f16 ends before the value does. May be
// in place. Of bf16 all values from 2^-17 to 65504 are kept exactly, and smaller ones to within 2^-25.
// Any n, grid-stride.
#define CONVERT_KERNEL(NAME, IN)                                                                               \
  extern "C" __global__ void __launch_bounds__(256) convert_##NAME##_to_f16(const IN* in, f16* out, long long n, \
                                                                            int* beyond) {                     \
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;                                   \
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {    \
      const float value = to_float(in[i]);                                                                     \
      if (!(fabsf(value) <= 65504.0f)) *beyond = 1;                                                            \
      out[i] = to_f16(value);                                                                                  \
    }                                                                                                          \
  }

CONVERT_KERNEL(f32, float)
CONVERT_KERNEL(bf16, bf16)
