// What a checkpoint's tensor goes through on its way into device memory: transposition of 16-bit
// elements, and changes of type.
#include "common.cuh"

namespace {
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

// out[i] = in[i], rounded to nearest even where the type is narrower. Any n, grid-stride.
#define CONVERT_KERNEL(NAME, IN, OUT, CONVERT)                                                       \
  extern "C" __global__ void __launch_bounds__(256) convert_##NAME(const IN* in, OUT* out, long long n) { \
    depend_release();                                                                                \
    depend_wait();                                                                                   \
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;                         \
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) { \
      out[i] = CONVERT;                                                                              \
    }                                                                                                \
  }

CONVERT_KERNEL(f32_to_bf16, float, bf16, to_bf16(in[i]))
CONVERT_KERNEL(f16_to_bf16, __half, bf16, to_bf16(__half2float(in[i])))
CONVERT_KERNEL(bf16_to_f32, bf16, float, to_float(in[i]))
CONVERT_KERNEL(f16_to_f32, __half, float, __half2float(in[i]))
