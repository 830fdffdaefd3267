// One block's share of a decode product of at most 16 sequences, on sm_90, the activations held in
// shared memory for as long as the block lives:
//
//   out[r, b] = sum over k of W[row(r), k] x[b, k],   b < kBatch
//
// The block works through tiles of 16 rows, one after the other. A stage is up to 2048 bytes of each of
// a tile's rows; stages of all tiles follow each other through one ring, so that memory never rests. Roles of
// a block's warps:
//
//   0 to 3     finish: add what the multiplying warps have summed, and put it where it belongs
//   4 to 11    multiply, each its share of the columns, and leave a tile's sums in one of two places
//   12 to 15   ask for stages, four rows each, a bulk copy a row: a warp asks for one after the other, so
//              copies are long and askers several
//
// So a tile's end, with what follows from it, costs those that multiply two barriers that they seldom wait at.
// A tile may have fewer rows than 16: the missing ones are not read, and their sums are no one's. Which rows a
// tile has need only be known when the ring reaches it, so that rows found by earlier tiles of the same block can
// follow (held.cu).
//
// Rows in shared memory lie 16 bytes further apart than they are long, or the 16-byte piece p of row b of x is at
// p ^ (b & 7), which keeps reads of eight rows at once free of bank conflicts.
//
// Bytes: the weights once; x once a block.
#pragma once

#include "bulk_copy.cuh"
#include "weights.cuh"

#if __CUDA_ARCH__ >= 900

// This lane's view of held activations, f16, rows `pitch` bytes apart: 32 columns of eight rows as B of two
// products, `first` a multiple of eight, `piece` of 16 bytes one of four. Whole warps.
struct PaddedColumns {
  const char* at;
  int pitch;

  __device__ PaddedColumns(const char* rows, int pitch) : pitch(pitch) {
    const int lane = threadIdx.x % kWarp;
    at = rows + (lane & 7) * pitch + (lane >> 3) * 16;
  }

  __device__ void load(uint32_t (&b)[4], int first, int piece) const {
    load_matrix4(b, at + first * pitch + piece * 16);
  }
};

struct SwizzledColumns {
  const char* at;
  int pitch;
  int first_half, second_half;  // where its piece of 64 bytes is, of 128

  __device__ SwizzledColumns(const char* rows, int pitch) : at(rows), pitch(pitch) {
    const int lane = threadIdx.x % kWarp, row = lane & 7, piece = (lane >> 3) ^ row;
    first_half = kept(row * pitch + piece * 16);
    second_half = kept(row * pitch + (piece ^ 4) * 16);
  }

  __device__ void load(uint32_t (&b)[4], int first, int piece) const {
    load_matrix4(b, at + (piece & 4 ? second_half : first_half) + first * pitch + piece / 8 * 128);
  }
};

// This lane's view of 16 rows of weights in shared memory, as tensor cores take them: lane l gives the
// address of row l % 16 (l % 8 where there are eight, which then stand for the others too), pieces of 16
// bytes. Scales are rows of halves.
template <Precision kPrecision>
struct RowPieces {
  static constexpr int kAtOnce = kPrecision == Precision::kF16 ? 4 : 2;  // pieces: 32, 32 or 64 columns
  const char* row;
  const uint16_t* low;   // scales of row lane / 4
  const uint16_t* high;  // and eight further

  __device__ RowPieces(const char* rows, int pitch, int count, const uint16_t* scales, int scale_pitch) {
    const int lane = threadIdx.x % kWarp;
    row = rows + (lane & (count - 1) & 15) * pitch + (lane >> 4) * 16;
    low = scales + lane / 4 * scale_pitch;
    high = count > 8 ? low + 8 * scale_pitch : low;
  }

  // Adds the products of kAtOnce pieces from the piece-th on; x begins where the rows do.
  template <int kBatchTiles, class Columns>
  __device__ void multiply(float (&sums)[kBatchTiles][4], const Columns& x, int piece) const {
    if constexpr (kPrecision == Precision::kF16) {
      uint32_t a[2][4];
      load_matrix4(a[0], row + piece * 16);
      load_matrix4(a[1], row + piece * 16 + 32);
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++) {
        uint32_t v[4];
        x.load(v, 8 * j, piece);
        multiply_16x8x16(sums[j], a[0], {v[0], v[1]});
        multiply_16x8x16(sums[j], a[1], {v[2], v[3]});
      }
    } else {
      uint32_t raw[4];  // rows 0 to 7 and 8 to 15 of the first piece, then of the second
      load_matrix4(raw, row + piece * 16);
      if constexpr (kPrecision == Precision::kInt8) {
        const uint32_t scale[2] = {twice(low[piece / 2]), twice(high[piece / 2])};
        uint32_t a[2][4];
#pragma unroll
        for (int r = 0; r < 4; r++) {
          a[r / 2][r % 2] = multiply_f16x2(int8_pair(raw[r]), scale[r % 2]);
          a[r / 2][r % 2 + 2] = multiply_f16x2(int8_pair(raw[r] >> 8), scale[r % 2]);
        }
#pragma unroll
        for (int j = 0; j < kBatchTiles; j++) {
          uint32_t v[4];
          x.load(v, 8 * j, 2 * piece);
          multiply_16x8x16(sums[j], a[0], {v[0], v[1]});
          multiply_16x8x16(sums[j], a[1], {v[2], v[3]});
        }
      } else {
        uint32_t a[4][4];
        const uint32_t scales[2] = {*reinterpret_cast<const uint32_t*>(low + piece),
                                    *reinterpret_cast<const uint32_t*>(high + piece)};  // of both pieces
#pragma unroll
        for (int r = 0; r < 4; r++) {
          const uint32_t scale = r / 2 ? high_twice(scales[r % 2]) : low_twice(scales[r % 2]);
          uint32_t pairs[4];
          int4_pairs(raw[r], pairs);
#pragma unroll
          for (int p = 0; p < 4; p++) a[r / 2 * 2 + p / 2][r % 2 + p % 2 * 2] = multiply_f16x2(pairs[p], scale);
        }
#pragma unroll
        for (int j = 0; j < kBatchTiles; j++) {
#pragma unroll
          for (int p = 0; p < 2; p++) {
            uint32_t v[4];
            x.load(v, 8 * j, 4 * (piece + p));
            multiply_16x8x16(sums[j], a[2 * p], {v[0], v[1]});
            multiply_16x8x16(sums[j], a[2 * p + 1], {v[2], v[3]});
          }
        }
      }
    }
  }
};

// A block's tiles of 16 rows: blockIdx.x, + gridDim.x, ...
__device__ __forceinline__ int own_tiles(int tiles) {
  const int first = static_cast<int>(blockIdx.x), each = static_cast<int>(gridDim.x);
  return first < tiles ? (tiles - first - 1) / each + 1 : 0;
}

__device__ __forceinline__ int tile_of(int own) { return blockIdx.x + own * gridDim.x; }

template <Precision kPrecision, int kBatch>
struct RowStream {
  using Weights = Format<kPrecision>;
  static constexpr int kWarps = 8;    // that multiply
  static constexpr int kAskers = 4;   // warps
  static constexpr int kFinishing = 128;  // threads of each role, in this order
  static constexpr int kMultiplying = kWarps * kWarp;
  static constexpr int kSumming = kFinishing + kMultiplying;
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = Weights::kQuantised ? 2048 : 1024;  // of a row in a stage
  static constexpr int kRowPitch = kRowBytes + 16;
  static constexpr int kColumns = kRowBytes * 8 / Weights::kBits;
  static constexpr int kBatchTiles = kBatch / 8;
  static constexpr int kScaleRowBytes = Weights::kQuantised ? kColumns / 32 * 2 : 0;
  static constexpr int kScalePitch = Weights::kQuantised ? kScaleRowBytes + 16 : 0;
  static constexpr int kStageBytes = kRows * (kRowPitch + kScalePitch);
  static constexpr int kStages = kBatch == 8 ? (Weights::kQuantised ? 4 : 7) : (Weights::kQuantised ? 2 : 4);
  // Stages asked for before the kernels in front have ended. More would only make these wait: what they still
  // read comes after all that has been asked for, from L2 too.
  static constexpr int kEarlyStages = (84 << 10) / kStageBytes;
  static constexpr int kTileSums = kWarps * kRows * kBatch;
  static constexpr int kSumsBytes = 2 * kTileSums * 4;
  // Numbers of barriers, of two places for sums each: they are there, and they may be overwritten.
  static constexpr int kThere = 2, kFree = 4;
  static constexpr int kBarrierBytes = 128;  // 2 kStages + 2 of 8 bytes
  static constexpr int kSumsAt = kStages * kStageBytes + kBarrierBytes;
  // Dynamic shared memory before the held activations.
  static constexpr int kFixedBytes = kSumsAt + kSumsBytes;

  // Activations [kBatch x columns] in shared memory. Many threads have them there the sooner.
  struct X {
    char* at;
    int pitch;
    __device__ X(char* shared, int columns) : at(shared), pitch(columns * 2) {}
    __device__ int bytes() const { return kBatch * pitch; }

    // Asks for x f16 [batch x columns]: all multiplying threads, after depend_wait(); each arrives at the
    // barrier. Rows of sequences past the batch stay as they are; nobody looks at their sums. Blocks begin
    // with different rows, so that they do not queue for the same lines of L2.
    __device__ void ask(const f16* x, int columns, int batch, uint64_t* barrier) const {
      const int thread = threadIdx.x - kFinishing, piece = thread % 8;
      for (int i = 0; i < batch; i++) {
        const int b = (i + static_cast<int>(blockIdx.x)) % batch;
        for (int line = thread / 8; line < columns / 64; line += kMultiplying / 8)
          copy_async16(at + b * pitch + line * 128 + (piece ^ (b & 7)) * 16,
                       x + static_cast<size_t>(b) * columns + line * 64 + piece * 8);
      }
      barrier_arrive_copied(barrier);
    }

    __device__ SwizzledColumns view() const { return SwizzledColumns(at, pitch); }
  };

  // The same by bulk copies of one thread, for those that are needed later: they cost the others nothing.
  struct PaddedX {
    char* at;
    int pitch;
    __device__ PaddedX(char* shared, int columns) : at(shared), pitch(columns * 2 + 16) {}
    __device__ int bytes() const { return kBatch * pitch; }

    __device__ void ask(const f16* x, int columns, int batch, uint64_t* barrier) const {
      barrier_expect(barrier, batch * columns * 2);
      for (int i = 0; i < batch; i++) {
        const int b = (i + static_cast<int>(blockIdx.x)) % batch;
        copy_bulk(at + b * pitch, x + static_cast<size_t>(b) * columns, columns * 2, barrier);
      }
    }

    __device__ PaddedColumns view() const { return PaddedColumns(at, pitch); }
  };

  char* ring;
  float* warp_sums;  // [2 x kWarps x kRows x kBatch]
  uint64_t* full;    // [kStages]
  uint64_t* empty;   // [kStages]
  uint64_t* held;    // of activations: at most two
  int at = 0;        // stages asked for, or multiplied
  int ended = 0;     // tiles multiplied, or finished
  float sums[kBatchTiles][4];

  // Whole block; ends with a barrier. `askers`: threads that ask for activations.
  __device__ explicit RowStream(char* shared, int askers = kMultiplying)
      : ring(shared), warp_sums(reinterpret_cast<float*>(shared + kSumsAt)),
        full(reinterpret_cast<uint64_t*>(shared + kStages * kStageBytes)), empty(full + kStages),
        held(full + 2 * kStages) {
    if (threadIdx.x == 0) {
      barrier_init(held, askers);
      barrier_init(held + 1, askers);
      for (int i = 0; i < kStages; i++) {
        barrier_init(full + i, kAskers);
        barrier_init(empty + i, kWarps);
      }
      barrier_init_done();
    }
    __syncthreads();
    clear();
  }

  __device__ static bool finishes() { return threadIdx.x < kFinishing; }
  __device__ static bool asks() { return threadIdx.x >= kSumming; }
  // Among the warps that multiply, or that ask.
  __device__ static int multiplier() { return (threadIdx.x - kFinishing) / kWarp; }
  __device__ static int asker() { return (threadIdx.x - kSumming) / kWarp; }
  __device__ static int steps(int columns) { return divide_up(columns, kColumns); }

  __device__ void clear() {
#pragma unroll
    for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
      for (int c = 0; c < 4; c++) sums[j][c] = 0;
  }

  static constexpr int kAskedRows = kRows / kAskers;

  // The row of a tile that this lane of an asking warp asks for.
  __device__ static int asked_row() { return asker() * kAskedRows + threadIdx.x % kAskedRows; }

  // The asking warps: all stages of a tile, but only kEarlyStages before depend_wait(). `row` is the matrix's row
  // that is the tile's asked_row(), negative for none.
  __device__ void ask(const StreamedMatrix& matrix, int row) {
    const int lane = threadIdx.x % kWarp;
    const int row_bytes = Weights::row_bytes(matrix.columns), groups = matrix.columns / 32;
    const int rows = __popc(__ballot_sync(kAllLanes, lane < kAskedRows && row >= 0));
    const char* elements = matrix.elements + static_cast<size_t>(max(row, 0)) * row_bytes;
    const uint16_t* scales = Weights::kQuantised ? matrix.scales + static_cast<size_t>(max(row, 0)) * groups : nullptr;
    for (int from = 0; from < row_bytes; from += kRowBytes, at++) {
      const int slot = at % kStages, bytes = min(kRowBytes, row_bytes - from);
      const int scale_bytes = Weights::kQuantised ? bytes * 8 / Weights::kBits / 16 : 0;
      if (at == kEarlyStages) depend_wait();
      if (at >= kStages) barrier_wait(empty + slot, (at / kStages - 1) & 1);
      if (lane == 0) barrier_expect(full + slot, rows * (bytes + scale_bytes));
      __syncwarp();
      if (lane < kAskedRows && row >= 0) {
        char* stage = ring + slot * kStageBytes;
        copy_bulk(stage + asked_row() * kRowPitch, elements + from, bytes, full + slot);
        if constexpr (Weights::kQuantised)
          copy_bulk(stage + kRows * kRowPitch + asked_row() * kScalePitch,
                    reinterpret_cast<const char*>(scales) + from * 8 / Weights::kBits / 16, scale_bytes, full + slot);
      }
    }
  }

  // The multiplying warps: all stages of a tile, whose sums are left to who finishes it.
  template <class Activations>
  __device__ void multiply(const Activations& x, int columns) {
    const int warp = multiplier(), lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    const int row_bytes = Weights::row_bytes(columns);
    const auto all_x = x.view();
    for (int from = 0; from < row_bytes; from += kRowBytes, at++) {
      const int slot = at % kStages;
      barrier_wait(full + slot, at / kStages & 1);
      const char* stage = ring + slot * kStageBytes;
      const int pieces = min(kRowBytes, row_bytes - from) / 16;
      auto held_x = all_x;  // from the stage's first column on
      held_x.at += from * 8 / Weights::kBits * 2;
      const uint16_t* scales = reinterpret_cast<const uint16_t*>(stage + kRows * kRowPitch);
      const RowPieces<kPrecision> rows(stage, kRowPitch, kRows, scales, kScalePitch / 2);
      // a warp has 8 or 16 pieces of 16 bytes of each row, four at a time: 32, 64 or 128 columns
      const auto four = [&](int h) {
#pragma unroll
        for (int i = 0; i < 4; i += RowPieces<kPrecision>::kAtOnce) rows.multiply(sums, held_x, h * 32 + warp * 4 + i);
      };
      // without a branch in between one four's reads are not behind another's products
      if (pieces == kRowBytes / 16) {
#pragma unroll
        for (int h = 0; h < kRowBytes / 512; h++) four(h);
      } else {
        for (int h = 0; h * 32 + warp * 4 < pieces; h++) four(h);
      }
      __syncwarp();
      if (lane == 0) barrier_arrive(empty + slot);
    }
    if (ended >= 2) barrier_among(kSumming, kFree + place());
#pragma unroll
    for (int j = 0; j < kBatchTiles; j++) {
      *reinterpret_cast<float2*>(warp_sum(warp, g, 8 * j + 2 * t)) = make_float2(sums[j][0], sums[j][1]);
      *reinterpret_cast<float2*>(warp_sum(warp, g + 8, 8 * j + 2 * t)) = make_float2(sums[j][2], sums[j][3]);
    }
    clear();
    barrier_say(kSumming, kThere + place());
    ended++;
  }

  // The multiplying warps, last of all: every barrier that finishing warps say so at has been waited at.
  __device__ void leave() {
    for (int last = min(ended, 2); last > 0; last--) barrier_among(kSumming, kFree + (ended - last) % 2);
  }

  // The finishing warps: done() when the next tile's sums are there. It may read total() and meet the others
  // of these warps at barrier_among(kFinishing).
  template <class Done>
  __device__ void finish(const Done& done) {
    barrier_among(kSumming, kThere + place());
    done();
    barrier_say(kSumming, kFree + place());
    ended++;
  }

  __device__ float total(int r, int b) const {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w++) sum += *warp_sum(w, r, b);
    return sum;
  }

  __device__ int place() const { return ended % 2; }

  // With 16 sequences every other pair of rows has its halves swapped, so that no bank is met twice.
  __device__ float* warp_sum(int warp, int r, int b) const {
    return warp_sums + place() * kTileSums + (warp * kRows + r) * kBatch + (b ^ (kBatch == 16 ? (r >> 1 & 1) * 8 : 0));
  }

  // All tiles of one matrix whose rows are known beforehand: row(tile, r), negative for none; done(tile)
  // finishes one. The first weights are asked for before depend_wait(). Whole block.
  template <class Row, class Done>
  __device__ void run(const StreamedMatrix& matrix, int tiles, const X& x, const f16* from, int batch,
                      const Row& row, const Done& done) {
    if (asks()) {
      for (int tile = 0; tile < tiles; tile++) ask(matrix, row(tile, asked_row()));
      return;
    }
    depend_wait();
    if (finishes()) {
      for (int tile = 0; tile < tiles; tile++) finish([&] { done(tile); });
      return;
    }
    x.ask(from, matrix.columns, batch, held);
    barrier_wait(held, 0);
    for (int tile = 0; tile < tiles; tile++) multiply(x, matrix.columns);
    leave();
  }
};

#endif
