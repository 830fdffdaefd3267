// Dense products of many rows, for a node without cuBLAS:
//
//   gemm_nt:  C[m x n] = alpha A[m x k] B[n x k]^T (+ C)      gemm_nn:  C[m x n] = alpha A[m x k] B[k x n] (+ C)
//
// f16 in, f32 sums, C f32 or f16, all row-major with a leading dimension each. Any m >= 1; n and k are
// multiples of 64; rows begin on 16 bytes.
//
// A block computes 128 x 128 of C in four warps of 64 x 64: per 16 of k a warp reads 4 KB of fragments
// for 128 multiplications of 16 x 8 x 16, which keeps shared memory below its rate. Four stages of 32 of
// k (16 KB each) are filled by cp.async, three ahead of their use. Rows of a stage are 64 bytes (nn: B's
// 256), their 16-byte pieces permuted so that ldmatrix meets no bank twice.
//
// Blocks go down eight tiles of m before they move to the next tile of n: what runs at a time then
// shares its A and B in L2.
#include "common.cuh"

namespace {

constexpr int kTileM = 128, kTileN = 128, kTileK = 32;
constexpr int kThreads = 128;
constexpr int kStages = 4;
constexpr int kGroup = 8;
constexpr int kPiece = 8;  // elements of 16 bytes
constexpr int kTileElements = kTileM * kTileK;
constexpr int kStageElements = 2 * kTileElements;

struct Product {
  const f16* a;
  const f16* b;
  void* c;
  int lda, ldb, ldc;
  int m, n, k;
  float alpha;
};

// Where piece `piece` of row `row` lies in a tile of rows of 32 elements. Two rows fill the 32 banks.
__device__ __forceinline__ int place_narrow(int row, int piece) {
  return row * kTileK + (piece ^ (row >> 1 & 3)) * kPiece;
}

// The same in a tile of rows of 128 elements.
__device__ __forceinline__ int place_wide(int row, int piece) { return row * kTileN + (piece ^ (row & 7)) * kPiece; }

// 128 rows from row0 of a matrix of `rows` rows, 32 columns from column0; zeros beyond.
__device__ __forceinline__ void copy_narrow(f16* tile, const f16* from, int ld, int row0, int rows, int column0) {
  const int piece = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kTileM / (kThreads / 4); i++) {
    const int row = threadIdx.x / 4 + i * (kThreads / 4);
    const bool valid = row0 + row < rows;
    const f16* source = from + static_cast<long long>(valid ? row0 + row : 0) * ld + column0 + piece * kPiece;
    copy_async16_or_zero(tile + place_narrow(row, piece), source, valid);
  }
}

// 32 rows from row0, 128 columns from column0 of a matrix of `columns` columns; zeros beyond.
__device__ __forceinline__ void copy_wide(f16* tile, const f16* from, int ld, int row0, int column0, int columns) {
  const int piece = threadIdx.x % 16;
  const bool valid = column0 + piece * kPiece < columns;
  const f16* source = from + (valid ? column0 + piece * kPiece : 0);
#pragma unroll
  for (int i = 0; i < kTileK / (kThreads / 16); i++) {
    const int row = threadIdx.x / 16 + i * (kThreads / 16);
    copy_async16_or_zero(tile + place_wide(row, piece), source + static_cast<long long>(row0 + row) * ld, valid);
  }
}

template <bool kTransposed>
__device__ __forceinline__ void copy_stage(f16* stage, const Product& p, int row0, int column0, int k0) {
  copy_narrow(stage, p.a, p.lda, row0, p.m, k0);
  if (kTransposed) {
    copy_narrow(stage + kTileElements, p.b, p.ldb, column0, p.n, k0);
  } else {
    copy_wide(stage + kTileElements, p.b, p.ldb, k0, column0, p.n);
  }
}

// sums[i][j] += rows 16 i, columns 8 j of the warp's 64 x 64, over one stage.
template <bool kTransposed>
__device__ __forceinline__ void multiply_stage(const f16* stage, int warp_row, int warp_column, float (&sums)[4][8][4]) {
  const int lane = threadIdx.x % kWarp;
  const int in_matrix = lane % 8, odd = lane / 8 % 2, upper = lane / 16;
  const f16* tile_b = stage + kTileElements;
#pragma unroll
  for (int step = 0; step < kTileK / 16; step++) {
    uint32_t a[4][4], b[8][2];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      load_matrix4(a[i], stage + place_narrow(warp_row + 16 * i + 8 * odd + in_matrix, 2 * step + upper));
    }
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      uint32_t two[4];
      if (kTransposed) {
        load_matrix4(two, tile_b + place_narrow(warp_column + 8 * (j + upper) + in_matrix, 2 * step + odd));
      } else {
        load_matrix4_transposed(two, tile_b + place_wide(16 * step + 8 * odd + in_matrix, warp_column / 8 + j + upper));
      }
      b[j][0] = two[0];
      b[j][1] = two[1];
      b[j + 1][0] = two[2];
      b[j + 1][1] = two[3];
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 8; j++) multiply_16x8x16(sums[i][j], a[i], b[j]);
    }
  }
}

__device__ __forceinline__ void store_pair(float* to, float low, float high, bool add) {
  float2 pair = make_float2(low, high);
  if (add) {
    const float2 old = *reinterpret_cast<const float2*>(to);
    pair = make_float2(pair.x + old.x, pair.y + old.y);
  }
  *reinterpret_cast<float2*>(to) = pair;
}

__device__ __forceinline__ void store_pair(f16* to, float low, float high, bool add) {
  uint32_t* pair = reinterpret_cast<uint32_t*>(to);
  if (add) {
    low += low_f16(*pair);
    high += high_f16(*pair);
  }
  *pair = pack_f16(low, high);
}

template <bool kTransposed, typename Out>
__device__ __forceinline__ void multiply(const Product& p, bool add) {
  extern __shared__ __align__(128) unsigned char memory[];
  f16* stages = reinterpret_cast<f16*>(memory);
  depend_release();
  depend_wait();

  const int tiles_m = divide_up(p.m, kTileM), tiles_n = divide_up(p.n, kTileN);
  const int group = blockIdx.x / (kGroup * tiles_n), in_group = blockIdx.x % (kGroup * tiles_n);
  const int height = min(kGroup, tiles_m - group * kGroup);
  const int row0 = (group * kGroup + in_group % height) * kTileM;
  const int column0 = in_group / height * kTileN;

  const int steps = p.k / kTileK;
#pragma unroll
  for (int s = 0; s < kStages - 1; s++) {
    if (s < steps) copy_stage<kTransposed>(stages + s * kStageElements, p, row0, column0, s * kTileK);
    copy_async_commit();
  }

  const int warp = threadIdx.x / kWarp;
  const int warp_row = warp / 2 * 64, warp_column = warp % 2 * 64;
  float sums[4][8][4] = {};
  for (int step = 0; step < steps; step++) {
    copy_async_wait<kStages - 2>();
    __syncthreads();  // all have this stage, and none still reads the one before
    const int next = step + kStages - 1;
    if (next < steps) {
      copy_stage<kTransposed>(stages + next % kStages * kStageElements, p, row0, column0, next * kTileK);
    }
    copy_async_commit();
    multiply_stage<kTransposed>(stages + step % kStages * kStageElements, warp_row, warp_column, sums);
  }

  if (column0 + warp_column >= p.n) return;  // n is a multiple of 64
  const int lane = threadIdx.x % kWarp;
  Out* c = static_cast<Out*>(p.c) + column0 + warp_column + 2 * (lane % 4);
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = row0 + warp_row + 16 * i + 8 * half + lane / 4;
      if (row >= p.m) continue;
      Out* to = c + static_cast<long long>(row) * p.ldc;
#pragma unroll
      for (int j = 0; j < 8; j++) {
        store_pair(to + 8 * j, p.alpha * sums[i][j][2 * half], p.alpha * sums[i][j][2 * half + 1], add);
      }
    }
  }
}

}  // namespace

// Grid: tiles of m times tiles of n, rounded up; 128 threads; 64 KB of shared memory.
#define GEMM_KERNEL(NAME, TRANSPOSED, OUT)                                                                        \
  extern "C" __global__ void __launch_bounds__(kThreads, 2) gemm_##NAME(                                          \
      const f16* a, int lda, const f16* b, int ldb, OUT* c, int ldc, int m, int n, int k, float alpha,           \
      int add) {                                                                                                  \
    multiply<TRANSPOSED, OUT>(Product{a, b, c, lda, ldb, ldc, m, n, k, alpha}, add != 0);                         \
  }

GEMM_KERNEL(nt_f32, true, float)
GEMM_KERNEL(nt_f16, true, f16)
GEMM_KERNEL(nn_f32, false, float)
GEMM_KERNEL(nn_f16, false, f16)
