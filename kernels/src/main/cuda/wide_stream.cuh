// Decode products of 32 and 64 sequences on sm_90a, the activations held in shared memory for as long as a
// cluster of blocks lives:
//
//   out[r, b] = sum over k of W[row(r), k] x[b, k],   b < kBatch
//
// The blocks of a cluster share the COLUMNS: each holds x of its own columns and reads its columns of every
// tile of 64 rows. Roles of a block's warps:
//
//   0 to 7     multiply: two warpgroups, each with a tile, a ring and sums of its own. Weights go through
//              registers (ldmatrix, then weights.cuh), x is read by wgmma. A tile's sums go to the blocks
//              that finish them, through the cluster's shared memory
//   8 to 11    finish: add what the blocks of the cluster sent, in the order of their ranks, so that sums do
//              not depend on who came first, and put the results where they belong
//   12, 13     ask for the weights of a warpgroup each, by cp.async
//
// Tiles alternate between the warpgroups: tile 2 k + w is the k-th of warpgroup w, and so the k-th phase of
// its two barriers, `arrived` (at who finishes: all sums are in, counted in bytes) and `free` (at who
// sends: all finishing warps of the cluster have read them). A stage of a ring is a step (128 bytes,
// weights.cuh) of 64 rows; steps of all tiles follow each other, so that memory never rests. The warpgroups
// never wait for each other, and neither waits for what becomes of a sum.
//
// Pieces. A tile's sums are 64 x kBatch / 1 KiB pieces of 16 rows and 16 sequences. Piece i, of warp
// i / kPieceColumns of the four, belongs to block i / own pieces of the cluster. A lane of a piece has rows
// g = lane / 4 and g + 8, four sequences each: row n of x in shared memory is the sequence that makes them
// neighbours (row_of). Rows r and r + 8 of 16 are thus in one lane, and products come in such pairs: two
// halves of a rotation, gate and up.
//
// x in shared memory: a chunk of 64 columns [kBatch x 128 bytes] after the other, swizzled as wgmma reads it.
//
// Bytes: the weights once; x once a cluster; through the cluster's network 4 bytes a block, row and
// sequence. With 1024 columns a block (d 4096 in clusters of four) and 64 sequences that is an eighth of
// f16 weights, half of int4's.
#pragma once

#include "cluster.cuh"
#include "warpgroup.cuh"
#include "weights.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// The 16-row groups of a product that a cluster works through: a run of them, so that clusters differ by
// one at most.
struct Groups {
  int first, end;
  __device__ Groups(int groups, int cluster, int clusters)
      : first(static_cast<int>(static_cast<int64_t>(groups) * cluster / clusters)),
        end(static_cast<int>(static_cast<int64_t>(groups) * (cluster + 1) / clusters)) {}
  __device__ int tiles() const { return divide_up(end - first, 4); }
};

template <int kBatch, Precision kWidest>
struct WideStream {
  static constexpr int kRows = 64;
  static constexpr int kMultiplying = 256;  // threads of each role, in this order
  static constexpr int kFinishing = 128;
  static constexpr int kAsking = 64;
  static constexpr int kThreads = kMultiplying + kFinishing + kAsking;
  static constexpr int kStageBytes = kRows * (128 + Format<kWidest>::kScaleBytes);
  static constexpr int kChunkBytes = kBatch * 128;
  static constexpr int kPieceColumns = kBatch / 16;
  static constexpr int kPieces = 4 * kPieceColumns;
  static constexpr int kPieceBytes = 1024;
  static constexpr int kSumsBytes = 2 * kPieces * kPieceBytes;
  static constexpr int kMostStages = 12;  // of a ring
  static constexpr int kBarrierBytes = 8 * (4 * kMostStages + 4);
  static constexpr int kSums = kBatch / 2;  // of a lane
  static_assert(kBatch == 32 || kBatch == 64, "wgmma's N here");

  // A block's share of a row's steps.
  template <Precision kPrecision>
  struct Steps {
    int first, count;
    // Chunks of x that the block with the most of them has.
    int most_chunks;
    __device__ Steps(int columns, int rank, int blocks) {
      constexpr int kChunks = Format<kPrecision>::kStepColumns / 64;
      const int steps = columns / Format<kPrecision>::kStepColumns;
      first = steps * rank / blocks;
      count = steps * (rank + 1) / blocks - first;
      most_chunks = divide_up(steps, blocks) * kChunks;
    }
    __device__ int first_column() const { return first * Format<kPrecision>::kStepColumns; }
    __device__ int chunks() const { return count * (Format<kPrecision>::kStepColumns / 64); }
  };

  struct Slot {
    int at = 0;
    int parity = 0;
    __device__ void advance(int stages) {
      if (++at == stages) at = 0, parity ^= 1;
    }
  };

  int warp;  // of the block
  int rank, blocks, own_pieces;
  int stages;      // of a ring
  char* sums_at;   // [2 warpgroups][blocks][own pieces] of kPieceBytes
  char* ring;      // of this thread's warpgroup, if it multiplies or asks
  uint64_t* full;  // [stages], of this thread's ring
  uint64_t* empty;
  uint64_t* arrived;  // [2]: the sums of a tile are in
  uint64_t* free;     // [2]: the sums that this block sent have been read
  char* after;        // shared memory after all of it
  Slot slot;
  bool first_use = true;

  // Whole block; all of shared memory but x_bytes of x at its start, a multiple of 1024. `more` initialises
  // barriers of the caller's own behind `after`, in one thread. Ends with a block barrier; the cluster's is
  // arrived at, and join() waits there.
  template <class More>
  __device__ WideStream(char* shared, int x_bytes, int ring_stages, const More& more)
      : warp(warp_uniform(threadIdx.x / kWarp)), rank(cluster_rank()), blocks(cluster_size()), own_pieces(kPieces / blocks), stages(ring_stages) {
    sums_at = shared + x_bytes;
    const int group = warpgroup();
    ring = sums_at + kSumsBytes + group * stages * kStageBytes;
    uint64_t* barriers = reinterpret_cast<uint64_t*>(sums_at + kSumsBytes + 2 * stages * kStageBytes);
    full = barriers + group * 2 * kMostStages;
    empty = full + kMostStages;
    arrived = barriers + 4 * kMostStages;
    free = arrived + 2;
    after = reinterpret_cast<char*>(barriers) + kBarrierBytes;
    if (threadIdx.x == 0) {
      if (shared_address(shared) % 1024 != 0) __trap();  // the swizzle of x counts from there
      for (int i = 0; i < stages; i++)
        for (int w = 0; w < 2; w++) {
          barrier_init(barriers + w * 2 * kMostStages + i, kWarp);                  // full
          barrier_init(barriers + w * 2 * kMostStages + kMostStages + i, 4);  // empty
        }
      for (int w = 0; w < 2; w++) {
        // in a block of its own every thread arrives: racecheck does not follow one lane that does for its warp
        barrier_init(arrived + w, blocks > 1 ? 1 : kMultiplying / 2);
        barrier_init(free + w, blocks > 1 ? blocks * (kFinishing / kWarp) : kFinishing);
      }
      more(after);
      barrier_init_done();
    }
    __syncthreads();
    cluster_arrive();
  }

  __device__ bool multiplies() const { return warp < kMultiplying / kWarp; }
  __device__ bool finishes() const { return !multiplies() && warp < (kMultiplying + kFinishing) / kWarp; }
  __device__ bool asks() const { return warp >= (kMultiplying + kFinishing) / kWarp && warp < kThreads / kWarp; }
  // Of a thread that multiplies or asks: the warpgroup it is of, or asks for.
  __device__ int warpgroup() const { return multiplies() ? warp / 4 : warp & 1; }

  // The other blocks' barriers are there. Every thread, once, before it touches another block's memory.
  __device__ void join() const { cluster_wait(); }
  // Nobody touches this block's memory any more. Every thread, last of all.
  __device__ void leave() const {
    cluster_arrive();
    cluster_wait();
  }

  // ---- asking ------------------------------------------------------------------------------------------

  // All steps of a tile: row(r) is the matrix's row that is the tile's row r, negative for none. What a
  // missing row's place holds is no one's: its sums are not looked at.
  template <Precision kPrecision, class Row>
  __device__ void ask(const StreamedMatrix& matrix, const Steps<kPrecision>& steps, const Row& row) {
    using Weights = Format<kPrecision>;
    constexpr uint32_t kNone = ~0u;
    const int lane = threadIdx.x % kWarp, piece = lane % 8, within = lane / 8;
    const uint32_t row_pieces = Weights::row_bytes(matrix.columns) / 16;
    uint32_t from[16];
#pragma unroll
    for (int n = 0; n < 16; n++) {
      const int at = row(4 * n + within);
      from[n] = at < 0 ? kNone : at * row_pieces + piece;
    }
    const char* elements = matrix.elements + static_cast<size_t>(steps.first) * 128;
    const char* scales[2];
    int scale_rows[2];
    if constexpr (Weights::kQuantised) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        scale_rows[h] = row(h * kWarp + lane);
        scales[h] = reinterpret_cast<const char*>(matrix.scales) +
                    static_cast<int64_t>(max(scale_rows[h], 0)) * (matrix.columns / 32 * 2) + steps.first * Weights::kScaleBytes;
      }
    }
    const int even = within * 128 + (piece ^ within) * 16, odd = within * 128 + (piece ^ (within + 4)) * 16;
    for (int s = 0; s < steps.count; s++, elements += 128) {
      if (!first_use) barrier_wait(empty + slot.at, slot.parity ^ 1);
      char* to = ring + slot.at * kStageBytes;
#pragma unroll
      for (int n = 0; n < 16; n++)
        if (from[n] != kNone)
          copy_async16_lines(to + n * 512 + (n & 1 ? odd : even), elements + static_cast<size_t>(from[n]) * 16);
      if constexpr (Weights::kQuantised) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          if (scale_rows[h] >= 0) {
            char* scale_to = to + kRows * 128 + (h * kWarp + lane) * Weights::kScaleBytes;
            if constexpr (Weights::kScaleBytes == 16) copy_async16(scale_to, scales[h]);
            else copy_async_small<8>(scale_to, scales[h]);
          }
          scales[h] += Weights::kScaleBytes;
        }
      }
      barrier_arrive_copied(full + slot.at);
      slot.advance(stages);
      if (slot.at == 0) first_use = false;
    }
  }

  // ---- multiplying -------------------------------------------------------------------------------------

  // The row of x in shared memory that is sequence b.
  __device__ static int row_of(int b) { return (b & ~15) | (b >> 1 & 1) << 3 | (b >> 2 & 3) << 1 | (b & 1); }

  // x f16 [batch x columns], this block's columns of it, zeros for sequences past the batch. The
  // multiplying threads, after depend_wait(): 16 bytes of four sequences' 128 a lane, all of them asked for
  // at once.
  template <Precision kPrecision>
  __device__ void hold(char* to, const f16* x, int columns, const Steps<kPrecision>& steps, int batch) const {
    constexpr int kEach = kBatch / 4, kWarps = kMultiplying / kWarp;
    const int lane = threadIdx.x % kWarp, piece = lane % 8;
    const int chunks = steps.chunks(), all = chunks * kEach;
    // clusters begin with different columns, so that they do not queue for the same lines of L2
    const int turn = static_cast<int>(blockIdx.x) / blocks;
    for (int at = threadIdx.x / kWarp; at < all; at += kWarps) {
      const int chunk = (at / kEach + turn) % chunks, b = at % kEach * 4 + lane / 8, row = row_of(b);
      const f16* from = x + static_cast<size_t>(b) * columns + steps.first_column() + chunk * 64 + piece * 8;
      const bool valid = b < batch;
      copy_async16_or_zero(to + chunk * kChunkBytes + row * 128 + (piece ^ (row & 7)) * 16, valid ? from : x, valid);
    }
    copy_async_commit();
    copy_async_wait<0>();
  }

  // The multiplying threads, after hold().
  __device__ void held() const {
    wgmma_writes_done();
    barrier_among(kMultiplying);
  }

  // Scales of a lane's two rows in a step.
  template <Precision kPrecision>
  struct Scales {
    uint32_t low[4], high[4];
    __device__ void load(const char* stage, int row) {
      if constexpr (kPrecision == Precision::kInt8) {
        const uint2 l = *reinterpret_cast<const uint2*>(stage + kRows * 128 + row * 8);
        const uint2 h = *reinterpret_cast<const uint2*>(stage + kRows * 128 + (row + 8) * 8);
        low[0] = l.x, low[1] = l.y, high[0] = h.x, high[1] = h.y;
      } else if constexpr (kPrecision == Precision::kInt4) {
        const uint4 l = *reinterpret_cast<const uint4*>(stage + kRows * 128 + row * 16);
        const uint4 h = *reinterpret_cast<const uint4*>(stage + kRows * 128 + (row + 8) * 16);
        low[0] = l.x, low[1] = l.y, low[2] = l.z, low[3] = l.w;
        high[0] = h.x, high[1] = h.y, high[2] = h.z, high[3] = h.w;
      }
    }
    // Of row r & 1 and of the group-th 32 columns.
    __device__ uint32_t of(int r, int group) const {
      const uint32_t both = (r & 1 ? high : low)[group / 2];
      return group & 1 ? high_twice(both) : low_twice(both);
    }
  };

  // A step of a warp's 16 rows on its way from a stage to A. All of it is loaded at once, so that one wait is for
  // all, but for int4, of which a step is four times as many columns: there registers are spilled for it.
  template <Precision kPrecision>
  struct Loaded {
    static constexpr bool kWhole = kPrecision != Precision::kInt4;
    static constexpr int kChunks = Format<kPrecision>::kStepColumns / 64;
    static constexpr int kLastRead = kWhole ? 0 : kChunks - 1;  // the chunk after which the stage is free
    const char* row;
    uint32_t raw[kWhole ? 4 : 1][4];
    Scales<kPrecision> scales;

    __device__ explicit Loaded(const char* stage)
        : row(stage + (threadIdx.x / kWarp % 4 * 16 + threadIdx.x % 16) * 128) {
      if constexpr (kWhole) {
#pragma unroll
        for (int i = 0; i < 4; i++) load(raw[i], i);
      }
      scales.load(stage, threadIdx.x / kWarp % 4 * 16 + threadIdx.x % kWarp / 4);
    }

    // The i-th 32 bytes of the rows.
    __device__ void load(uint32_t (&to)[4], int i) const {
      const int lane = threadIdx.x % kWarp;
      load_matrix4(to, row + ((2 * i + (lane >> 4)) ^ (lane & 7)) * 16);
    }

    // The chunk-th 64 columns as A of four products.
    __device__ void unpack(uint32_t (&a)[4][4], int chunk) {
      if constexpr (kPrecision == Precision::kF16) {
#pragma unroll
        for (int k = 0; k < 4; k++)
#pragma unroll
          for (int r = 0; r < 4; r++) a[k][r] = raw[k][r];
      } else if constexpr (kPrecision == Precision::kInt8) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const uint32_t scale[2] = {scales.of(0, 2 * chunk + h), scales.of(1, 2 * chunk + h)};
#pragma unroll
          for (int r = 0; r < 4; r++) {
            const uint32_t four = raw[2 * chunk + h][r];
            a[2 * h + r / 2][r % 2] = multiply_f16x2(int8_pair(four), scale[r % 2]);
            a[2 * h + r / 2][r % 2 + 2] = multiply_f16x2(int8_pair(four >> 8), scale[r % 2]);
          }
        }
      } else {
        load(raw[0], chunk);
#pragma unroll
        for (int r = 0; r < 4; r++) {
          const uint32_t scale = scales.of(r, 2 * chunk + r / 2);
          uint32_t pairs[4];
          int4_pairs(raw[0][r], pairs);
#pragma unroll
          for (int p = 0; p < 4; p++) a[r / 2 * 2 + p / 2][r % 2 + p % 2 * 2] = multiply_f16x2(pairs[p], scale);
        }
      }
    }
  };

  // All steps of a warpgroup's tile, in a loop that is the same for all lanes as far as the compiler can see:
  // else every product waits for its descriptor on the way to uniform registers. Weights become A while the 64
  // columns before are multiplied.
  template <Precision kPrecision>
  __device__ void multiply(float (&sums)[kSums], const char* x, const Steps<kPrecision>& steps) {
    constexpr int kChunks = Format<kPrecision>::kStepColumns / 64;
    WgmmaRows rows(x);
    const int count = warp_uniform(steps.count);
    uint32_t a[2][4][4];
#pragma unroll
    for (int i = 0; i < kSums; i++) sums[i] = 0;
    wgmma_pin(sums);
    const auto step = [&](int first) {
      barrier_wait(full + slot.at, slot.parity);
      Loaded<kPrecision> loaded(ring + slot.at * kStageBytes);
#pragma unroll
      for (int c = 0; c < kChunks; c++) {
        uint32_t(&of)[4][4] = a[(first + c) & 1];
        loaded.unpack(of, c);
        if (c == loaded.kLastRead) {
          __syncwarp();
          if (threadIdx.x % kWarp == 0) barrier_arrive(empty + slot.at);
        }
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) wgmma(sums, of[k], rows.at(c * kChunkBytes + k * 32));
        wgmma_commit();
        wgmma_wait<1>();
      }
      rows.low += kChunks * kChunkBytes / 16;
      slot.advance(stages);
    };
    int s = 0;
    if constexpr (kChunks % 2 != 0)
      for (; s + 2 <= count; s += 2) step(0), step(kChunks);
    for (; s < count; s++) step(0);
    wgmma_wait<0>();
    wgmma_pin(sums);
  }

  // Sends the sums of the warpgroup's tile `unit` to those who finish them.
  __device__ void send(int unit, const float (&sums)[kSums]) const {
    const int group = warpgroup(), lane = threadIdx.x % kWarp;
    if (unit >= 2) barrier_wait(free + group, (unit / 2 - 1) & 1);
    if (blocks == 1) {
      keep(sums);
      return;
    }
#pragma unroll
    for (int q = 0; q < kPieceColumns; q++) {
      const int piece = threadIdx.x / kWarp % 4 * kPieceColumns + q;
      const int owner = piece / own_pieces, at = (group * blocks + rank) * own_pieces + piece % own_pieces;
      const uint32_t to = address_in(sums_at + at * kPieceBytes + lane * 16, owner);
      const uint32_t barrier = address_in(arrived + group, owner);
      const float* d = sums + 8 * q;
      store_counted(to, barrier, d[0], d[1], d[4], d[5]);
      store_counted(to + kPieceBytes / 2, barrier, d[2], d[3], d[6], d[7]);
    }
  }

  // The same where this block is its cluster's only one, in which asynchronous stores have no place.
  __device__ void keep(const float (&sums)[kSums]) const {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int q = 0; q < kPieceColumns; q++) {
      const int piece = threadIdx.x / kWarp % 4 * kPieceColumns + q;
      char* to = sums_at + (warpgroup() * kPieces + piece) * kPieceBytes + lane * 16;
      const float* d = sums + 8 * q;
      *reinterpret_cast<float4*>(to) = make_float4(d[0], d[1], d[4], d[5]);
      *reinterpret_cast<float4*>(to + kPieceBytes / 2) = make_float4(d[2], d[3], d[6], d[7]);
    }
    barrier_arrive(arrived + warpgroup());
  }

  // ---- finishing ---------------------------------------------------------------------------------------

  // A lane's part of a piece: rows `row` and row + 8 of the 16, row < 8, of the tile's warp-th 16 rows, for
  // sequences from b to b + 3.
  struct Piece {
    int warp, row, b;
    float4 low, high;
  };

  // The i-th piece of this warp, without its sums.
  __device__ Piece place_of(int i) const {
    const int lane = threadIdx.x % kWarp;
    const int all = rank * own_pieces + (threadIdx.x - kMultiplying) / kWarp + 4 * i;
    return {all / kPieceColumns, lane / 4, all % kPieceColumns * 16 + lane % 4 * 4, {}, {}};
  }

  // The sums of tile `unit`: done(i, piece) for each piece of this warp, the i-th of at most
  // kPieceColumns; i is known at compile time once unrolled.
  template <class Done>
  __device__ void finish(int unit, const Done& done) const {
    const int lane = threadIdx.x % kWarp, warp = (threadIdx.x - kMultiplying) / kWarp, group = unit & 1;
    if (blocks > 1 && threadIdx.x == kMultiplying) barrier_expect(arrived + group, kPieces * kPieceBytes);
    barrier_wait(arrived + group, unit / 2 & 1);
    Piece pieces[kPieceColumns];
#pragma unroll
    for (int i = 0; i < kPieceColumns; i++) {
      const int at = warp + 4 * i;
      if (at >= own_pieces) continue;
      Piece& piece = pieces[i];
      piece = place_of(i);
      piece.low = piece.high = make_float4(0, 0, 0, 0);
      for (int c = 0; c < blocks; c++) {
        const char* from = sums_at + ((group * blocks + c) * own_pieces + at) * kPieceBytes + lane * 16;
        add(piece.low, *reinterpret_cast<const float4*>(from));
        add(piece.high, *reinterpret_cast<const float4*>(from + kPieceBytes / 2));
      }
    }
    __syncwarp();
    if (blocks == 1) {
      barrier_arrive(free + group);
    } else if (lane < blocks) {
      barrier_arrive_read_in(address_in(free + group, lane));
    }
#pragma unroll
    for (int i = 0; i < kPieceColumns; i++)
      if (warp + 4 * i < own_pieces) done(i, pieces[i]);
  }

  __device__ static void add(float4& sum, const float4& v) { sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w; }

  // ---- all of it ---------------------------------------------------------------------------------------

  // The tiles of one matrix whose rows are known beforehand: row(tile, r), negative for none; done(tile, piece,
  // known), where known = before(tile, piece) is asked, of a warp's first piece, before its sums are there.
  // Weights are asked for before depend_wait(). Whole block.
  template <Precision kPrecision, class Row, class Before, class Done>
  __device__ void run(const StreamedMatrix& matrix, char* held_x, const f16* x, int batch, int tiles, const Row& row,
                      const Before& before, const Done& done) {
    const Steps<kPrecision> steps(matrix.columns, rank, blocks);
    if (multiplies()) {
      depend_wait();
      hold(held_x, x, matrix.columns, steps, batch);
      held();
      join();
      float sums[kSums];
      for (int tile = warpgroup(); tile < tiles; tile += 2) {
        multiply(sums, held_x, steps);
        send(tile, sums);
      }
    } else if (finishes()) {
      depend_wait();
      join();
      for (int tile = 0; tile < tiles; tile++) {
        const auto first = before(tile, place_of(0));
        finish(tile, [&](int i, const Piece& piece) { done(tile, piece, i == 0 ? first : before(tile, piece)); });
      }
    } else {
      for (int tile = warpgroup(); tile < tiles; tile += 2)
        ask(matrix, steps, [&](int r) { return row(tile, r); });
      join();
    }
    leave();
  }
};

#endif
