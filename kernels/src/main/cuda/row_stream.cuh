// One block's share of a decode product of at most 16 sequences, the activations held in shared memory
// for as long as the block lives:
//
//   out[r, b] = sum over k of W[row(r), k] x[b, k],   b < kBatch
//
// The block works through tiles of 16 rows, one after the other. A stage is 512 bytes of each of a
// tile's rows; stages of all tiles follow each other through one ring of shared memory, so loads never
// stop at a tile's end. Eight warps split a stage's columns and add up at the tile's end. A tile may have
// fewer rows than 16: the missing ones are not read. Which rows a tile has need only be known when the
// ring reaches it, so that rows found by earlier tiles of the same block can follow (feed_forward.cu).
//
// Bytes: the weights once; x once a block. One block a multiprocessor or two.
#pragma once

#include "weights.cuh"

// Activations [kBatch x columns] in shared memory: rows of `columns` rounded up to whole stages, zeros
// past the end, 16-byte pieces placed so that reads meet no bank twice.
template <Precision kPrecision, int kBatch>
struct HeldActivations {
  char* at;
  int row_bytes;

  // Bytes for so many columns.
  __host__ __device__ static constexpr int padded_columns(int columns) {
    constexpr int kStage = 512 * 8 / Format<kPrecision>::kBits;
    return (columns + kStage - 1) / kStage * kStage;
  }

  __device__ HeldActivations(char* shared, int columns) : at(shared), row_bytes(padded_columns(columns) * 2) {}

  __device__ static int place(int chunk, int b) {
    if constexpr (kPrecision == Precision::kBf16) return chunk ^ (b & 7);
    if constexpr (kPrecision == Precision::kInt8) return chunk ^ ((b & 3) << 1);
    return chunk ^ ((b & 1) << 2);
  }

  // Asks for x bf16 [batch x columns], without a commit.
  __device__ void copy(const bf16* x, int columns, int batch) {
    const int chunks = row_bytes / 16;
    for (int i = threadIdx.x; i < kBatch * chunks; i += blockDim.x) {
      const int b = i / chunks, chunk = i - b * chunks;
      const bool valid = b < batch && chunk * 8 < columns;
      copy_async16_or_zero(at + b * row_bytes + place(chunk, b) * 16,
                           x + (valid ? static_cast<size_t>(b) * columns + chunk * 8 : 0), valid);
    }
  }
};

// A matrix that tiles take rows from.
struct StreamedMatrix {
  const char* elements;
  const uint16_t* scales;
  int columns;
};

template <Precision kPrecision, int kBatch>
struct RowStream {
  using Weights = Format<kPrecision>;
  using X = HeldActivations<kPrecision, kBatch>;
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 512;                               // of a row in a stage
  static constexpr int kColumns = kRowBytes * 8 / Weights::kBits;     // of a stage
  static constexpr int kBatchTiles = kBatch / 8;
  static constexpr int kScaleRowBytes = Weights::kQuantised ? kColumns / 32 * 2 : 0;
  static constexpr int kStageBytes = kRows * (kRowBytes + kScaleRowBytes);
  // at 8 sequences two blocks fit a multiprocessor, this kernel's and the next one's
  static constexpr int kStages = kBatch == 8 ? (Weights::kQuantised ? 4 : 5) : (kPrecision == Precision::kInt4 ? 7 : 8);
  static constexpr int kRingBytes = kStages * kStageBytes;
  static constexpr int kSumsBytes = kWarps * kRows * kBatch * 4;
  // Shared memory before the held activations.
  static constexpr int kFixedBytes = kRingBytes + kSumsBytes;

  char* ring;
  float* warp_sums;  // [kWarps x kRows x kBatch]
  float sums[kBatchTiles][4];
  int issued = 0, consumed = 0, late = 0, drained = 0;

  __device__ explicit RowStream(char* shared) : ring(shared), warp_sums(reinterpret_cast<float*>(shared + kRingBytes)) { clear(); }

  __device__ void clear() {
#pragma unroll
    for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
      for (int c = 0; c < 4; c++) sums[j][c] = 0;
  }

  __device__ static int steps(int columns) { return divide_up(columns, kColumns); }

  // Asks for step `step` of a tile's rows; rows[r] < 0 for a row that is missing. No commit.
  template <class Row>
  __device__ void issue(const StreamedMatrix& matrix, const Row& row, int step) {
    char* to = ring + issued % kStages * kStageBytes;
    const int row_bytes = Weights::row_bytes(matrix.columns);
    // 16 rows x 32 pieces: a warp asks for a row's 512 bytes at once
    const int chunk = threadIdx.x % 32, at = step * kRowBytes + chunk * 16;
#pragma unroll
    for (int i = 0; i < kRows / kWarps; i++) {
      const int r = threadIdx.x / 32 + i * kWarps;
      const int source = row(r);
      const bool valid = source >= 0 && at < row_bytes;
      copy_async16_or_zero(to + r * kRowBytes + ((chunk ^ (r & 7)) * 16),
                           matrix.elements + (valid ? static_cast<size_t>(source) * row_bytes + at : 0), valid);
    }
    if constexpr (Weights::kQuantised) {
      constexpr int kWords = kScaleRowBytes / 4;
      const int groups = matrix.columns / 32;
      for (int i = threadIdx.x; i < kRows * kWords; i += kThreads) {
        const int r = i / kWords, group = step * (kScaleRowBytes / 2) + i % kWords * 2;
        const int source = row(r);
        const bool valid = source >= 0 && group < groups;
        copy_async4_or_zero(to + kRows * kRowBytes + i * 4,
                            matrix.scales + (valid ? static_cast<size_t>(source) * groups + group : 0), valid);
      }
    }
    issued++;
  }

  // Every stage between two barriers commits one group, so a stage that was asked for kStages - 1 stages
  // ahead is there when all but kStages - 2 groups are. One that was asked for later needs all of them.
  __device__ void commit(int first_issued) {
    copy_async_commit();
    if (issued > first_issued && first_issued < consumed + kStages - 1) late = issued;
  }

  // Waits for the next stage.
  __device__ void await() {
    if (consumed < late && consumed >= drained) {
      copy_async_wait<0>();
      drained = issued;
    } else {
      copy_async_wait<kStages - 2>();
    }
    __syncthreads();
  }

  // Multiplies the stage waited for with step `step` of x.
  __device__ void consume(const X& x, int step) {
    const char* stage = ring + consumed % kStages * kStageBytes;
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    if constexpr (kPrecision == Precision::kBf16) {
      uint32_t a[2][4];
      load_rows(a[0], stage, warp * 4, lane);
      load_rows(a[1], stage, warp * 4 + 2, lane);
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++) {
        const int b = 8 * j + (lane & 7);
        uint32_t v[4];
        load_matrix4(v, x.at + b * x.row_bytes + X::place(step * 32 + warp * 4 + (lane >> 3), b) * 16);
        multiply_16x8x16(sums[j], a[0], {v[0], v[1]});
        multiply_16x8x16(sums[j], a[1], {v[2], v[3]});
      }
    } else {
      const char* scales = stage + kRows * kRowBytes;
      const uint16_t* low = reinterpret_cast<const uint16_t*>(scales + g * kScaleRowBytes);
      const uint16_t* high = reinterpret_cast<const uint16_t*>(scales + (g + 8) * kScaleRowBytes);
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int chunk = warp * 4 + 2 * h;
        uint32_t raw[4];
        load_rows(raw, stage, chunk, lane);
        if constexpr (kPrecision == Precision::kInt8) {
          const uint32_t scale[2] = {scale_pair(low[chunk / 2]), scale_pair(high[chunk / 2])};
          uint32_t a[2][4];
#pragma unroll
          for (int r = 0; r < 4; r++) {
            a[r / 2][r % 2] = multiply_bf16x2(int8_pair(raw[r]), scale[r % 2]);
            a[r / 2][r % 2 + 2] = multiply_bf16x2(int8_pair(raw[r] >> 8), scale[r % 2]);
          }
#pragma unroll
          for (int j = 0; j < kBatchTiles; j++) {
            const int b = 8 * j + g;
#pragma unroll
            for (int p = 0; p < 2; p++) {
              const uint2 v = *reinterpret_cast<const uint2*>(
                  x.at + b * x.row_bytes + X::place(step * 64 + 2 * (chunk + p) + t / 2, b) * 16 + t % 2 * 8);
              multiply_16x8x16(sums[j], a[p], {v.x, v.y});
            }
          }
        } else {
          uint32_t a[4][4];
#pragma unroll
          for (int r = 0; r < 4; r++) {
            const uint32_t scale = scale_pair(r % 2 ? high[chunk + r / 2] : low[chunk + r / 2]);
#pragma unroll
            for (int p = 0; p < 4; p++)
              a[r / 2 * 2 + p / 2][r % 2 + p % 2 * 2] = multiply_bf16x2(int4_pair(raw[r] >> (4 * p)), scale);
          }
#pragma unroll
          for (int j = 0; j < kBatchTiles; j++) {
            const int b = 8 * j + g;
#pragma unroll
            for (int p = 0; p < 2; p++) {
              const uint4 v = *reinterpret_cast<const uint4*>(
                  x.at + b * x.row_bytes + X::place(step * 128 + 4 * (chunk + p) + t, b) * 16);
              multiply_16x8x16(sums[j], a[2 * p], {v.x, v.y});
              multiply_16x8x16(sums[j], a[2 * p + 1], {v.z, v.w});
            }
          }
        }
      }
    }
    consumed++;
  }

  // Adds up the warps' shares of the tile. Afterwards total(r, b) may be read by any thread until the
  // next tile's end. Whole block; starts the next tile's sums.
  __device__ void finish() {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    float* mine = warp_sums + warp * kRows * kBatch;
#pragma unroll
    for (int j = 0; j < kBatchTiles; j++) {
      *reinterpret_cast<float2*>(mine + g * kBatch + 8 * j + 2 * t) = make_float2(sums[j][0], sums[j][1]);
      *reinterpret_cast<float2*>(mine + (g + 8) * kBatch + 8 * j + 2 * t) = make_float2(sums[j][2], sums[j][3]);
    }
    clear();
    __syncthreads();
  }

  __device__ float total(int r, int b) const {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w++) sum += warp_sums[(w * kRows + r) * kBatch + b];
    return sum;
  }

  __device__ static void load_rows(uint32_t (&r)[4], const char* stage, int chunk, int lane) {
    const int row = lane & 15;
    load_matrix4(r, stage + row * kRowBytes + (((chunk + (lane >> 4)) ^ (row & 7)) * 16));
  }

  // All tiles of one matrix whose rows are known beforehand: row(tile, r), negative for none; done(tile)
  // is called by the whole block after each, when total() is there. Calls depend_wait() once the first
  // stages are asked for, then takes up x.
  template <class Row, class Done>
  __device__ void run(const StreamedMatrix& matrix, int tiles, X& held, const bf16* x, int batch, const Row& row,
                      const Done& done) {
    const int steps_each = steps(matrix.columns), all = tiles * steps_each;
    const auto next = [&] {
      if (issued < all) {
        const int tile = issued / steps_each;
        issue(matrix, [&](int r) { return row(tile, r); }, issued - tile * steps_each);
      }
      copy_async_commit();
    };
    for (int i = 0; i < kStages - 2; i++) next();
    depend_wait();
    held.copy(x, matrix.columns, batch);
    next();
    late = 1;  // x is waited for with all that was asked for before it
    for (int tile = 0; tile < tiles; tile++) {
      for (int step = 0; step < steps_each; step++) {
        await();
        next();
        consume(held, step);
      }
      finish();
      done(tile);
    }
  }
};
