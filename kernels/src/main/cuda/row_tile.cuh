// One block's share of a decode product: kRows weight rows times the whole batch,
//
//   out[r, b] = sum over k of W[row(r), k] x[b, k],   r < kRows, b < kBatch,
//
// over a range of columns. A decode product reads each weight once and multiplies it with at most 64
// activations, so what counts is bytes in flight: weights and activations stream through a ring of
// shared-memory stages by cp.async, and tensor cores (m16n8k16, weights as A) do the rest. Four warps
// hold 16 or 32 rows each. Rows may be any: consecutive, gathered, or gate and up of the same neurons.
//
// Weights do not depend on the kernels before, so where the rows are known beforehand the first stages
// are asked for before depend_wait(): the memory works while the previous kernel drains.
//
// Column order inside a step is permuted for the quantised formats, the same for weights and x.
#pragma once

#include "weights.cuh"

// The block's share of the steps of a row that is split in `splits`.
struct Share {
  int first, count;
  __device__ Share(int total, int split, int splits) {
    const int each = divide_up(total, splits);
    first = min(split * each, total);
    count = min(each, total - first);
  }
};

template <Precision kPrecision, int kBatchTile>
struct RowTile {
  using Weights = Format<kPrecision>;
  static constexpr int kBatch = kBatchTile;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarp;
  // two 16-row tiles a warp at large batches: halves what blocks read of x from L2, and warps from shared
  // memory; where x leaves room for them
  static constexpr int kTiles = kBatch >= 32 && kBatch * Weights::kStepColumns < 64 * 256 ? 2 : 1;
  static constexpr int kRows = kWarps * 16 * kTiles;
  static constexpr int kBatchTiles = kBatch / 8;
  static constexpr int kColumns = Weights::kStepColumns;

  static constexpr int kWeightBytes = kRows * 128;
  static constexpr int kXRowBytes = kColumns * 2;
  static constexpr int kXBytes = kBatch * kXRowBytes;
  static constexpr int kScaleRowBytes = Weights::kScaleBytes;
  static constexpr int kStageBytes = kWeightBytes + kXBytes + kRows * kScaleRowBytes;
  // At least four if 88 KiB hold them: a multiprocessor of sm_86 and sm_89 has 99 for all that a block has.
  static constexpr int kFit = 65536 / kStageBytes, kMost = 90112 / kStageBytes;
  static constexpr int kStages = kFit > 8 ? 8 : kFit >= 4 ? kFit : kMost < 4 ? kMost : 4;
  static_assert(kStages >= 2, "one stage fills while another is used");
  static constexpr int kOutStride = kBatch + 1;
  static constexpr int kRingBytes = kStages * kStageBytes;
  static_assert(kRows * kOutStride * 4 <= kRingBytes, "the result is staged in the ring");

  static constexpr int kCopies = kRows / 16;  // 16-byte pieces of a stage's weights that a thread asks for

  const char* ring_;
  const char* rows_[kCopies];
  const char* elements_;
  const uint16_t* scales_;
  const f16* x_;
  int columns_, batch_, first_step_, steps_, rotation_;
  float sums[kTiles][kBatchTiles][4];

  // x is [batch x columns]; steps of the row, from first_step on, are this block's.
  __device__ RowTile(char* ring, const void* elements, const uint16_t* scales, const f16* x, int columns, int batch,
                     int first_step, int steps)
      : ring_(ring), elements_(static_cast<const char*>(elements)), scales_(scales), x_(x), columns_(columns),
        batch_(batch), first_step_(first_step), steps_(steps), rotation_(steps > 0 ? blockIdx.x * 7 % steps : 0) {
#pragma unroll
    for (int i = 0; i < kTiles; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] = 0;
  }

  // Runs the products. row(r) gives the weight row of the tile's row r and is asked for r < kRows;
  // ready() is called once, when what earlier kernels wrote is needed: depend_wait() for rows that
  // are known beforehand, nothing where the caller has waited already.
  template <class Row, class Ready>
  __device__ void run(const Row& row, const Ready& ready) {
    const int chunk = threadIdx.x % 8, first = threadIdx.x / 8;
    const int row_bytes = Weights::row_bytes(columns_);
#pragma unroll
    for (int i = 0; i < kCopies; i++)
      rows_[i] = elements_ + static_cast<size_t>(row(first + 16 * i)) * row_bytes + chunk * 16;
#pragma unroll
    for (int s = 0; s < kStages - 1; s++) {
      if (s < steps_) copy_weights(row, s, row_bytes);
      copy_async_commit();
    }
    ready();
#pragma unroll
    for (int s = 0; s < kStages - 1; s++) {
      if (s < steps_) copy_x(s);
      copy_async_commit();
    }
    for (int s = 0; s < steps_; s++) {
      // groups are committed in the order W0 W1 .. X0 X1 .. WX..: kStages - 2 of them follow X of s
      copy_async_wait<kStages - 2>();
      __syncthreads();
      const int ahead = s + kStages - 1;
      if (ahead < steps_) {
        copy_weights(row, ahead, row_bytes);
        copy_x(ahead);
      }
      copy_async_commit();
      multiply(stage(s));
    }
    copy_async_wait<0>();
    __syncthreads();
  }

  // Stages the sums as out[r * kOutStride + b] in the ring, whole block.
  __device__ float* store() {
    float* out = reinterpret_cast<float*>(const_cast<char*>(ring_));
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
      float* at = out + (warp * 16 * kTiles + i * 16 + g) * kOutStride + 2 * t;
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++) {
        at[8 * j] = sums[i][j][0];
        at[8 * j + 1] = sums[i][j][1];
        at[8 * kOutStride + 8 * j] = sums[i][j][2];
        at[8 * kOutStride + 8 * j + 1] = sums[i][j][3];
      }
    }
    __syncthreads();
    return out;
  }

  // Adds the sums of the `splits` blocks that share a tile, each with its own columns. The last block
  // to arrive does so, in the order of the splits, and returns true; the others are done.
  // partial: f32 [tiles x splits x kRows x kBatch]; arrivals: int [tiles], zero, and zero again after.
  __device__ bool combine(float* partial, int* arrivals, int tile, int split, int splits) {
    if (splits == 1) return true;
    constexpr int kQuads = kTiles * kBatchTiles;
    float4* tile_sums = reinterpret_cast<float4*>(partial) + static_cast<size_t>(tile) * splits * kQuads * kThreads + threadIdx.x;
    float4* own = tile_sums + static_cast<size_t>(split) * kQuads * kThreads;
#pragma unroll
    for (int i = 0; i < kTiles; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
        own[(i * kBatchTiles + j) * kThreads] = make_float4(sums[i][j][0], sums[i][j][1], sums[i][j][2], sums[i][j][3]);
    __threadfence();
    __syncthreads();
    int* arrived = reinterpret_cast<int*>(const_cast<char*>(ring_));
    if (threadIdx.x == 0) {
      *arrived = atomicAdd(arrivals + tile, 1);
      if (*arrived == splits - 1) arrivals[tile] = 0;
    }
    __syncthreads();
    const bool last = *arrived == splits - 1;
    __syncthreads();
    if (!last) return false;
    __threadfence();
#pragma unroll
    for (int i = 0; i < kTiles; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] = 0;
    // a split's sums are all asked for before any is added
    for (int s = 0; s < splits; s++) {
      float4 v[kQuads];
#pragma unroll
      for (int q = 0; q < kQuads; q++) v[q] = __ldcg(tile_sums + (s * kQuads + q) * kThreads);
#pragma unroll
      for (int q = 0; q < kQuads; q++) {
        float(&sum)[4] = sums[q / kBatchTiles][q % kBatchTiles];
        sum[0] += v[q].x;
        sum[1] += v[q].y;
        sum[2] += v[q].z;
        sum[3] += v[q].w;
      }
    }
    return true;
  }

 private:
  // Blocks begin at different columns: all of them asking for the same lines of x at once would queue at
  // a few slices of L2.
  __device__ int step_of(int s) const {
    const int rotated = s + rotation_;
    return first_step_ + (rotated < steps_ ? rotated : rotated - steps_);
  }

  __device__ char* stage(int s) const { return const_cast<char*>(ring_) + s % kStages * kStageBytes; }

  template <class Row>
  __device__ void copy_weights(const Row& row, int s, int row_bytes) {
    const int chunk = threadIdx.x % 8, first = threadIdx.x / 8;
    const int at = step_of(s) * 128;
    char* to = stage(s) + first * 128 + (chunk ^ (first & 7)) * 16;
    const bool valid = at + chunk * 16 < row_bytes;
#pragma unroll
    for (int i = 0; i < kCopies; i++) copy_async16_or_zero(to + i * 16 * 128, rows_[i] + (valid ? at : 0), valid);
    if constexpr (Weights::kQuantised) {
      constexpr int kWords = kScaleRowBytes / 4;
      char* scales = stage(s) + kWeightBytes + kXBytes;
      const int groups = columns_ / 32;
      for (int i = threadIdx.x; i < kRows * kWords; i += kThreads) {
        const int r = i / kWords, word = i % kWords;
        const int group = (step_of(s) * kScaleRowBytes + word * 4) / 2;
        const bool inside = group < groups;
        copy_async4_or_zero(scales + i * 4, scales_ + static_cast<size_t>(row(r)) * groups + (inside ? group : 0), inside);
      }
    }
  }

  // Which 16-byte piece of a row of x holds piece `chunk` of sequence b: keeps the reads below free of
  // bank conflicts.
  __device__ static int x_place(int chunk, int b) { return chunk ^ (b & 7); }

  __device__ void copy_x(int s) {
    constexpr int kChunks = kXRowBytes / 16;
    char* to = stage(s) + kWeightBytes;
    const int from = step_of(s) * kColumns;
#pragma unroll
    for (int i = threadIdx.x; i < kBatch * kChunks; i += kThreads) {
      const int b = i / kChunks, chunk = i % kChunks;
      const int column = from + chunk * 8;
      const bool valid = b < batch_ && column < columns_;
      copy_async16_or_zero(to + b * kXRowBytes + x_place(chunk, b) * 16,
                           x_ + (valid ? static_cast<size_t>(b) * columns_ + column : 0), valid);
    }
  }

  __device__ void multiply(const char* stage) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const char* weights = stage + warp * 16 * kTiles * 128;
    const char* x = stage + kWeightBytes;
    if constexpr (kPrecision == Precision::kF16) {
      multiply_f16(weights, x, lane);
    } else {
      multiply_quantised(weights, x, stage + kWeightBytes + kXBytes + warp * 16 * kTiles * kScaleRowBytes, lane);
    }
  }

  // Rows 0 to 15 of tile i, 16-byte pieces `chunk` and chunk + 1: results 0 and 1 are rows 0 to 7 and
  // 8 to 15 of the first piece, 2 and 3 of the second.
  __device__ static void load_rows(uint32_t (&r)[4], const char* weights, int tile, int chunk, int lane) {
    const int row = tile * 16 + (lane & 15);
    load_matrix4(r, weights + row * 128 + (((chunk + (lane >> 4)) ^ (row & 7)) * 16));
  }

  __device__ void multiply_f16(const char* weights, const char* x, int lane) {
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      uint32_t a[2][kTiles][4];
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < kTiles; i++) load_rows(a[h][i], weights, i, 2 * (k + h), lane);
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++) {
        // four pieces of 8 sequences: columns of two products
        const int b = 8 * j + (lane & 7);
        uint32_t pieces[4];
        load_matrix4(pieces, x + b * kXRowBytes + x_place(2 * k + (lane >> 3), b) * 16);
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
          multiply_16x8x16(sums[i][j], a[0][i], {pieces[0], pieces[1]});
          multiply_16x8x16(sums[i][j], a[1][i], {pieces[2], pieces[3]});
        }
      }
    }
  }

  __device__ void multiply_quantised(const char* weights, const char* x, const char* scales, int lane) {
    const int g = lane / 4;
#pragma unroll
    for (int chunk = 0; chunk < 8; chunk += 2) {
      // [product][tile]: int8 has a product of 16 columns in a piece, int4 two
      constexpr int kProducts = kPrecision == Precision::kInt8 ? 2 : 4;
      uint32_t a[kProducts][kTiles][4];
#pragma unroll
      for (int i = 0; i < kTiles; i++) {
        uint32_t raw[4];
        load_rows(raw, weights, i, chunk, lane);
        const uint16_t* low = reinterpret_cast<const uint16_t*>(scales + (i * 16 + g) * kScaleRowBytes);
        const uint16_t* high = reinterpret_cast<const uint16_t*>(scales + (i * 16 + g + 8) * kScaleRowBytes);
        if constexpr (kPrecision == Precision::kInt8) {
          const uint32_t scale[2] = {twice(low[chunk / 2]), twice(high[chunk / 2])};
#pragma unroll
          for (int r = 0; r < 4; r++) {
            a[r / 2][i][r % 2] = multiply_f16x2(int8_pair(raw[r]), scale[r % 2]);
            a[r / 2][i][r % 2 + 2] = multiply_f16x2(int8_pair(raw[r] >> 8), scale[r % 2]);
          }
        } else {
#pragma unroll
          for (int r = 0; r < 4; r++) {
            const uint32_t scale = twice(r % 2 ? high[chunk + r / 2] : low[chunk + r / 2]);
            uint32_t pairs[4];
            int4_pairs(raw[r], pairs);
#pragma unroll
            for (int p = 0; p < 4; p++) a[r / 2 * 2 + p / 2][i][r % 2 + p % 2 * 2] = multiply_f16x2(pairs[p], scale);
          }
        }
      }
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++) {
        const int b = 8 * j + (lane & 7);
#pragma unroll
        for (int p = 0; p < kProducts; p += 2) {
          uint32_t pieces[4];
          load_matrix4(pieces, x + b * kXRowBytes + x_place(chunk * kProducts + 2 * p + (lane >> 3), b) * 16);
#pragma unroll
          for (int i = 0; i < kTiles; i++) {
            multiply_16x8x16(sums[i][j], a[p][i], {pieces[0], pieces[1]});
            multiply_16x8x16(sums[i][j], a[p + 1][i], {pieces[2], pieces[3]});
          }
        }
      }
    }
  }
};
