// The down projection of a sparse feed-forward step where sum_stream.cu and wide_sum.cu do not go: the sum
// of the union's rows, weighted,
//
//   y[b, c] = sum over neurons i of the union of s[i, b] W_down[i, c]
//
// W_down [f x d] is the transposed down projection: a neuron's row is contiguous. s f16 [f x kBatch];
// y f32 [splits x batch x d], one summand a split, which the norm that follows adds up in order. A block
// has 256 columns and a range of the neurons, of which it finds the called ones by itself; their rows
// stream through a ring of shared-memory stages of 8 KiB. Each of 8 warps multiplies 32 columns (as A,
// transposed) with the batch.
//
// Bytes: the union's rows once; s and y stay in L2.

#include "calls.cuh"
#include "decode_kernels.cuh"
#include "row_list.cuh"
#include "weights.cuh"

extern __shared__ __align__(128) char shared[];

namespace {

template <Precision kPrecision, int kBatch>
struct ColumnTile {
  using Weights = Format<kPrecision>;
  static constexpr int kThreads = 256;
  static constexpr int kColumns = 256;
  static constexpr int kRowBytes = kColumns * Weights::kBits / 8;
  static constexpr int kRows = 8192 / kRowBytes;  // ranks of a stage: 16, 32 or 64
  static constexpr int kWeightBytes = kRows * kRowBytes;
  static constexpr int kSBytes = kRows * kBatch * 2;
  static constexpr int kScaleRowBytes = Weights::kQuantised ? kColumns / 32 * 2 : 0;
  static constexpr int kStageBytes = kWeightBytes + kSBytes + kRows * kScaleRowBytes;
  static constexpr int kFit = 65536 / kStageBytes;
  static constexpr int kStages = kFit < 4 ? 4 : kFit > 7 ? 7 : kFit;
  static constexpr int kBatchTiles = kBatch / 8;

  const char* elements;
  const uint16_t* scales;
  const f16* s;
  const int* list;  // rows of the block, in ascending order
  int columns, first_column, ranks;
  char* ring;
  float sums[2][kBatchTiles][4];

  __device__ char* stage(int i) const { return ring + i % kStages * kStageBytes; }

  // Where 16-byte piece `chunk` of rank k lies in its row: so that the reads below meet no bank twice.
  __device__ static int weight_place(int chunk, int k) {
    if constexpr (kPrecision == Precision::kF16) return chunk ^ (k & 7);
    if constexpr (kPrecision == Precision::kInt8) return chunk ^ ((k >> 1 & 3) << 1);
    return chunk ^ (k >> 1 & 3);
  }

  __device__ static int s_place(int chunk, int k) {
    if constexpr (kBatch == 64) return chunk ^ (k & 7);
    if constexpr (kBatch == 32) return chunk ^ (k >> 1 & 3);
    if constexpr (kBatch == 16) return chunk ^ (k >> 2 & 1);
    return chunk;
  }

  __device__ void copy(int i) {
    constexpr int kChunks = kRowBytes / 16;
    char* to = stage(i);
    const int row_bytes = Weights::row_bytes(columns), at = first_column / 8 * Weights::kBits;
#pragma unroll
    for (int c = threadIdx.x; c < kRows * kChunks; c += kThreads) {
      const int k = c / kChunks, chunk = c % kChunks;
      const bool valid = i * kRows + k < ranks && at + chunk * 16 < row_bytes;
      const char* from = elements + (valid ? static_cast<size_t>(list[i * kRows + k]) * row_bytes + at + chunk * 16 : 0);
      copy_async16_or_zero(to + k * kRowBytes + weight_place(chunk, k) * 16, from, valid);
    }
    if constexpr (Weights::kQuantised) {
      const int groups = columns / 32;
      for (int c = threadIdx.x; c < kRows * 4; c += kThreads) {
        const int k = c / 4, group = first_column / 32 + c % 4 * 2;
        const bool valid = i * kRows + k < ranks && group < groups;
        const uint16_t* from = scales + (valid ? static_cast<size_t>(list[i * kRows + k]) * groups + group : 0);
        copy_async4_or_zero(to + kWeightBytes + kSBytes + c * 4, from, valid);
      }
    }
  }

  __device__ void copy_s(int i) {
    constexpr int kChunks = kBatch / 8;
    for (int c = threadIdx.x; c < kRows * kChunks; c += kThreads) {
      const int k = c / kChunks, chunk = c % kChunks;
      const bool valid = i * kRows + k < ranks;
      copy_async16_or_zero(stage(i) + kWeightBytes + (k * kChunks + s_place(chunk, k)) * 16,
                           s + (valid ? static_cast<size_t>(list[i * kRows + k]) * kBatch + chunk * 8 : 0), valid);
    }
  }

  // The warp's 32 columns over 16 ranks from k on, as two A operands: their rows are the columns of column_of().
  __device__ void load_columns(uint32_t (&a)[2][4], const char* weights, const char* scale_rows, int k) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    if constexpr (kPrecision == Precision::kF16) {
      const int rank = k + (lane & 7) + (lane >> 4) * 8;
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int chunk = warp * 4 + i * 2 + (lane >> 3 & 1);
        load_matrix4_transposed(a[i], weights + rank * kRowBytes + weight_place(chunk, rank) * 16);
      }
    } else {
      // four columns of ranks k + 2t, +1, +8, +9: pairs of columns become pairs of ranks
      uint32_t columns01[4], columns23[4];
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const int rank = k + 2 * t + (r & 1) + (r >> 1) * 8;
        const uint32_t scale = twice(*reinterpret_cast<const uint16_t*>(scale_rows + rank * kScaleRowBytes + warp * 2));
        const char* row = weights + rank * kRowBytes;
        if constexpr (kPrecision == Precision::kInt8) {
          const uint32_t raw = *reinterpret_cast<const uint32_t*>(row + weight_place(warp * 2 + g / 4, rank) * 16 + g % 4 * 4);
          columns01[r] = multiply_f16x2(int8_pair(raw), scale);
          columns23[r] = multiply_f16x2(int8_pair(raw >> 8), scale);
        } else {
          const uint32_t raw = *reinterpret_cast<const uint32_t*>(row + weight_place(warp, rank) * 16 + g % 4 * 4) >> (g / 4 * 8);
          columns01[r] = multiply_f16x2(int4_pair(raw), scale);
          columns23[r] = multiply_f16x2(int4_pair_above(raw), scale);
        }
      }
#pragma unroll
      for (int h = 0; h < 2; h++) {
        a[0][2 * h] = __byte_perm(columns01[2 * h], columns01[2 * h + 1], 0x5410);
        a[0][2 * h + 1] = __byte_perm(columns01[2 * h], columns01[2 * h + 1], 0x7632);
        a[1][2 * h] = __byte_perm(columns23[2 * h], columns23[2 * h + 1], 0x5410);
        a[1][2 * h + 1] = __byte_perm(columns23[2 * h], columns23[2 * h + 1], 0x7632);
      }
    }
  }

  // Column, within the warp's 32, of row m of A operand i.
  __device__ static int column_of(int i, int m) {
    if constexpr (kPrecision == Precision::kF16) return i * 16 + m;
    return m % 8 / 4 * 16 + i * 8 + m % 4 * 2 + m / 8;
  }

  __device__ void multiply(const char* stage) {
    const int lane = threadIdx.x % kWarp;
    const char* s_rows = stage + kWeightBytes;
#pragma unroll
    for (int k = 0; k < kRows; k += 16) {
      uint32_t a[2][4];
      load_columns(a, stage, s_rows + kSBytes, k);
      const int rank = k + (lane & 15);
      if constexpr (kBatchTiles == 1) {
        uint32_t b[2];
        load_matrix2_transposed(b, s_rows + rank * 16);
#pragma unroll
        for (int i = 0; i < 2; i++) multiply_16x8x16(sums[i][0], a[i], b);
      } else {
#pragma unroll
        for (int j = 0; j < kBatchTiles; j += 2) {
          uint32_t b[4];
          load_matrix4_transposed(b, s_rows + (rank * (kBatch / 8) + s_place(j + (lane >> 4), rank)) * 16);
#pragma unroll
          for (int i = 0; i < 2; i++) {
            multiply_16x8x16(sums[i][j], a[i], {b[0], b[1]});
            multiply_16x8x16(sums[i][j + 1], a[i], {b[2], b[3]});
          }
        }
      }
    }
  }

  __device__ void run() {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] = 0;
    const int stages = divide_up(ranks, kRows);
#pragma unroll
    for (int i = 0; i < kStages - 1; i++) {
      if (i < stages) {
        copy(i);
        copy_s(i);
      }
      copy_async_commit();
    }
    for (int i = 0; i < stages; i++) {
      copy_async_wait<kStages - 2>();
      __syncthreads();
      if (i + kStages - 1 < stages) {
        copy(i + kStages - 1);
        copy_s(i + kStages - 1);
      }
      copy_async_commit();
      multiply(stage(i));
    }
  }

  // y: f32 [batch x columns]
  __device__ void store(float* y, int batch) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
          const int column = first_column + warp * 32 + column_of(i, g + c / 2 * 8), b = 8 * j + 2 * t + c % 2;
          if (b < batch && column < columns) y[static_cast<size_t>(b) * columns + column] = sums[i][j][c] * (1 / kNeuronScale);
        }
  }
};

template <Precision kPrecision, int kBatch>
__device__ void sum_rows_of(const void* elements, const uint16_t* scales, const f16* s, int rows, int columns,
                            int batch, const StepState* state, const int* records, int layer, int layers,
                            const uint32_t* union_bits, float* y) {
  using Tile = ColumnTile<kPrecision, kBatch>;
  depend_release();
  depend_wait();
  const int each = divide_up(divide_up(rows, static_cast<int>(gridDim.y)), 32) * 32;
  const int first = min(static_cast<int>(blockIdx.y) * each, rows);
  int* list = reinterpret_cast<int*>(shared + Tile::kStages * Tile::kStageBytes);
  Tile tile;
  tile.elements = static_cast<const char*>(elements);
  tile.scales = scales;
  tile.s = s;
  tile.list = list;
  tile.columns = columns;
  tile.first_column = blockIdx.x * Tile::kColumns;
  tile.ranks = list_rows(
      union_bits, [&] { return ran_dense(state, records, layer, layers); }, first, min(first + each, rows), 1, list);
  tile.ring = shared;
  tile.run();
  tile.store(y + static_cast<size_t>(blockIdx.y) * batch * columns, batch);
}

}  // namespace

// grid (columns / 256 rounded up, splits of the rows); dynamic shared memory: the ring, and an int for
// each row of a split, rows / splits rounded up to 32
DECODE_KERNELS(sum_rows, 256, sum_rows_of,
               (const void* elements, const uint16_t* scales, const f16* s, int rows, int columns, int batch,
                const StepState* state, const int* records, int layer, int layers, const uint32_t* union_bits, float* y),
               (elements, scales, s, rows, columns, batch, state, records, layer, layers, union_bits, y))
