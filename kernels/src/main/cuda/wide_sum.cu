// The down projection of 32 and 64 sequences on sm_90a: the sum of the union's rows, weighted,
//
//   y[b, c] = sum over neurons i of the union of s[i, b] W_down[i, c]
//
// W_down [f x d] is the transposed down projection: a neuron's row is contiguous. s f16 [f x kBatch];
// y f32 [splits x batch x d], one summand a split, which the norm that follows adds up in order. A block
// has 256 columns and a range of the neurons, of which it finds the called ones by itself; sum_stream.cu
// does the same for fewer sequences, sum_rows.cu elsewhere. Roles of a block's warps:
//
//   0 to 7   multiply: two warpgroups of 128 columns each. Weights are A, transposed on the way to registers
//            (ldmatrix) and unpacked there; s is B, read by wgmma where it lies
//   8, 9     ask for weights and scales, half of a stage's rows each
//   10, 11   ask for s
//
// They meet at a stage's two barriers alone, full and empty, so that memory never rests. Of a dense step
// the weights are known beforehand: the ring fills while the kernel before is still at s. Of a sparse one it
// fills as soon as the union is known (known_union.cuh).
//
// A stage of the ring: s of its rows, swizzled as wgmma reads it (a multiple of 1024 bytes); the rows' 256
// columns, 16 bytes further apart than they are long, so that eight rows at once meet no bank twice; their
// scales. How quantised ones become operands is in rank_pairs.cuh.
//
// Bytes: the union's rows once; s once a column tile, from L2, as y.

#include "bulk_copy.cuh"
#include "calls.cuh"
#include "known_union.cuh"
#include "rank_pairs.cuh"
#include "row_list.cuh"
#include "warpgroup.cuh"

extern __shared__ __align__(1024) char shared[];

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

namespace {

template <Precision kPrecision, int kBatch>
struct WideSum {
  using Weights = Format<kPrecision>;
  using Columns = WgmmaColumns<kBatch>;
  static constexpr bool kQuantised = Weights::kQuantised;
  static constexpr int kWarps = 8;    // that multiply
  static constexpr int kAsking = 2;   // warps for weights, and for s
  static constexpr int kTiles = 2;    // 16 columns each, of a warp
  static constexpr int kColumns = 256;
  static constexpr int kRowBytes = kColumns * Weights::kBits / 8;
  static constexpr int kRowPitch = kRowBytes + 16;
  static constexpr int kScaleRowBytes = kQuantised ? kColumns / 32 * 2 : 0;
  static constexpr int kRows = kQuantised ? 64 : 32;  // of a stage
  static constexpr int kChunk = kRows / 2;            // ranks that are in registers at a time
  static constexpr int kSteps = kChunk / 16;
  static constexpr int kSBytes = kRows * kBatch * 2;
  static constexpr int kStageBytes = divide_up(kSBytes + kRows * (kRowPitch + kScaleRowBytes), 1024) * 1024;
  using Packed = RankPairs<kPrecision>;  // 32 ranks, quantised
  static constexpr int kMostStages = 12;
  static constexpr int kBarrierBytes = 2 * 8 * kMostStages;

  const char* elements;
  const char* scales;
  const f16* s;
  const int* list;  // the block's rows, in ascending order, then -1 to the end of a stage
  int columns, first_column, ranks;
  int ring_stages;
  char* ring;
  uint64_t* full;   // [ring_stages]
  uint64_t* empty;  // [ring_stages]
  float sums[kTiles][kBatch / 2];

  // A stage's place in the ring. Its round's parity is that of the phase in which it fills.
  struct Slot {
    int at = 0;
    int parity = 0;
    __device__ void advance(int stages) {
      if (++at == stages) at = 0, parity ^= 1;
    }
  };

  __device__ int stages() const { return divide_up(ranks, kRows); }
  __device__ char* s_of(const Slot& slot) const { return ring + slot.at * kStageBytes; }
  __device__ char* weights_of(const Slot& slot) const { return s_of(slot) + kSBytes; }
  __device__ char* scales_of(const Slot& slot) const { return weights_of(slot) + kRows * kRowPitch; }

  // ---- asking ------------------------------------------------------------------------------------------

  // kBytes of each of kCount rows of the list from `rank` on, which are stride apart, 16 bytes a lane, to
  // place(row of the kCount, piece); zeros past the last row and past what a row has left. Rows are looked
  // up several at a time: a copy may not overtake a read of the list.
  template <int kBytes, int kCount, class Place>
  __device__ void copy_rows(char* to, const Place& place, const char* from, int stride, int rank, int left) const {
    constexpr int kPieces = kBytes / 16, kAtOnce = kWarp / kPieces;  // rows of the warp's one copy
    constexpr int kEach = kCount / kAtOnce, kGroup = kEach < 8 ? kEach : 8;
    const int lane = threadIdx.x % kWarp, piece = lane % kPieces, within = lane / kPieces;
    const bool inside = piece * 16 < left;
    const int* of = list + rank + within;
    from += inside ? piece * 16 : 0;
#pragma unroll
    for (int n = 0; n < kEach; n += kGroup) {
      int rows[kGroup];
#pragma unroll
      for (int m = 0; m < kGroup; m++) rows[m] = of[(n + m) * kAtOnce];
#pragma unroll
      for (int m = 0; m < kGroup; m++)
        copy_async16_or_zero(to + place((n + m) * kAtOnce + within, piece),
                             from + static_cast<int64_t>(max(rows[m], 0)) * stride, rows[m] >= 0 && inside);
    }
  }

  // The first asking warps: `half` of each stage's rows.
  __device__ void ask_weights(int half) const {
    constexpr int kCount = kRows / kAsking;
    const int row_bytes = Weights::row_bytes(columns), at = first_column / 8 * Weights::kBits;
    const int stages = this->stages(), first = half * kCount;
    Slot slot;
    for (int i = 0; i < stages; i++, slot.advance(ring_stages)) {
      if (i >= ring_stages) barrier_wait(empty + slot.at, slot.parity ^ 1);
      copy_rows<kRowBytes, kCount>(
          weights_of(slot) + first * kRowPitch, [](int row, int piece) { return row * kRowPitch + piece * 16; },
          elements + at, row_bytes, i * kRows + first, row_bytes - at);
      if constexpr (kQuantised)
        copy_rows<kScaleRowBytes, kCount>(
            scales_of(slot) + first * kScaleRowBytes, [](int row, int) { return row * kScaleRowBytes; },
            scales + first_column / 32 * 2, columns / 32 * 2, i * kRows + first, kScaleRowBytes);
      barrier_arrive_copied(full + slot.at);
    }
  }

  // The others, after depend_wait().
  __device__ void ask_s(int half) const {
    constexpr int kCount = kRows / kAsking;
    const int stages = this->stages(), first = half * kCount;
    Slot slot;
    for (int i = 0; i < stages; i++, slot.advance(ring_stages)) {
      if (i >= ring_stages) barrier_wait(empty + slot.at, slot.parity ^ 1);
      copy_rows<kBatch * 2, kCount>(s_of(slot) + first * kBatch * 2, Columns::place,
                                    reinterpret_cast<const char*>(s), kBatch * 2, i * kRows + first, kBatch * 2);
      barrier_arrive_copied(full + slot.at);
    }
  }

  // ---- multiplying -------------------------------------------------------------------------------------

  // The n-th 32 ranks of a stage.
  __device__ void load(Packed& packed, const Slot& slot, int n) const {
    const int warp = threadIdx.x / kWarp;
    packed.load(weights_of(slot) + n * 32 * kRowPitch + warp * Packed::kWords * 16, kRowPitch,
                scales_of(slot) + n * 32 * kScaleRowBytes, warp);
  }

  // They as A of their products.
  __device__ static void unpack(uint32_t (&a)[kSteps][kTiles][4], const Packed& packed) {
#pragma unroll
    for (int r = 0; r < 4; r++) {
      uint32_t pairs[kTiles][2];
      packed.unpack(pairs, r);
#pragma unroll
      for (int i = 0; i < kTiles; i++)
#pragma unroll
        for (int h = 0; h < 2; h++) a[r / 2][i][r % 2 * 2 + h] = multiply_f16x2(pairs[i][h], packed.scale[r]);
    }
  }

  __device__ static void load_f16(uint32_t (&a)[kSteps][kTiles][4], const char* weights, int k) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int rank = k + (lane & 7) + (lane >> 4) * 8, piece = warp * 4 + (lane >> 3 & 1);
#pragma unroll
    for (int i = 0; i < kTiles; i++)
      load_matrix4_transposed(a[0][i], weights + rank * kRowPitch + (piece + i * 2) * 16);
  }

  // The multiplying warps.
  __device__ void multiply_all() {
#pragma unroll
    for (int i = 0; i < kTiles; i++) {
#pragma unroll
      for (int j = 0; j < kBatch / 2; j++) sums[i][j] = 0;
      wgmma_pin(sums[i]);  // registers from here on: products are serialised where these zeros are moved into them
    }
    const int stages = this->stages();
    Slot slot;
    int before = 0;  // the stage before's place
    for (int i = 0; i < stages; i++) {
      barrier_wait(full + slot.at, slot.parity);
      wgmma_writes_done();
      const Columns s_rows(s_of(slot));
      uint32_t a[2][kSteps][kTiles][4];
      Packed packed[2];
      if constexpr (kQuantised) load(packed[0], slot, 0), load(packed[1], slot, 1);
#pragma unroll
      for (int c = 0; c < 2; c++) {
        // while the chunk before is multiplied
        if constexpr (kQuantised) unpack(a[c], packed[c]);
        else load_f16(a[c], weights_of(slot), c * kChunk);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kSteps; k++)
#pragma unroll
          for (int m = 0; m < kTiles; m++) wgmma<1>(sums[m], a[c][k][m], s_rows.at(c * kChunk + k * 16));
        wgmma_commit();
        wgmma_wait<1>();
        // the stage before's products have read its s
        if (c == 0 && i > 0 && threadIdx.x % kWarp == 0) barrier_arrive(empty + before);
      }
      before = slot.at;
      slot.advance(ring_stages);
    }
    wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < kTiles; i++) wgmma_pin(sums[i]);
  }

  // y: f32 [batch x columns]
  __device__ void store(float* y, int batch) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    const int column = first_column + warp * 32;
#pragma unroll
    for (int j = 0; j < kBatch / 8; j++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int b = 8 * j + 2 * t + c;
        float* to = y + static_cast<size_t>(b) * columns + column;
#pragma unroll
        for (int i = 0; i < kTiles; i++)
#pragma unroll
          for (int h = 0; h < 2; h++) {
            const int at = i * 16 + g + h * 8;
            if (b < batch && column + at < columns) to[at] = sums[i][4 * j + c + 2 * h] * (1 / kNeuronScale);
          }
      }
    }
  }
};

template <Precision kPrecision, int kBatch>
__device__ void wide_sum_of(const void* elements, const uint16_t* scales, const f16* s, int rows, int columns,
                            int batch, const StepState* state, const int* records, int layer, int layers,
                            const uint32_t* union_bits, const KnownUnion& known_union, int sayers, int stages,
                            float* y) {
  using Sum = WideSum<kPrecision, kBatch>;
  depend_release();
  const int warp = warp_uniform(threadIdx.x / kWarp);
  const int each = divide_up(divide_up(rows, static_cast<int>(gridDim.y)), 32) * 32;
  const int first = min(static_cast<int>(blockIdx.y) * each, rows), end = min(first + each, rows);
  char* after = shared + stages * Sum::kStageBytes;
  int* list = reinterpret_cast<int*>(after + Sum::kBarrierBytes);
  Sum sum;
  sum.elements = static_cast<const char*>(elements);
  sum.scales = reinterpret_cast<const char*>(scales);
  sum.s = s;
  sum.list = list;
  sum.columns = columns;
  sum.first_column = blockIdx.x * Sum::kColumns;
  sum.ring_stages = stages;
  sum.ring = shared;
  sum.full = reinterpret_cast<uint64_t*>(after);
  sum.empty = sum.full + Sum::kMostStages;
  if (threadIdx.x == 0) {
    if (shared_address(shared) % 1024 != 0) __trap();  // the swizzle of s counts from there
    for (int i = 0; i < stages; i++) {
      barrier_init(sum.full + i, 2 * Sum::kAsking * kWarp);
      barrier_init(sum.empty + i, Sum::kWarps);
    }
    barrier_init_done();
  }
  if (union_bits != nullptr) known_union.await(sayers);
  sum.ranks = warp_uniform(list_rows(
      union_bits, [&] { return ran_dense(state, records, layer, layers); }, first, end, Sum::kRows, list));
  const int asking = warp - Sum::kWarps;
  if (asking >= 0 && asking < Sum::kAsking) {
    sum.ask_weights(asking);
  } else {
    depend_wait();
    if (asking >= 0) {
      sum.ask_s(asking - Sum::kAsking);
    } else {
      sum.multiply_all();
      sum.store(y + static_cast<size_t>(blockIdx.y) * batch * columns, batch);
    }
  }
  __syncthreads();  // no warp leaves copies of its own behind
}

}  // namespace

#define WIDE_SUM_BODY(...) __VA_ARGS__

#else

// The host launches none of these on devices that are not sm_90.
#define WIDE_SUM_BODY(...)

#endif

// grid (columns / 256 rounded up, splits of the rows), 384 threads; dynamic shared memory: `stages` of the
// ring, barriers, and an int for each row of a split, rows / splits rounded up to 64. Quantised:
// columns % 256 == 0
#define WIDE_SUM(FORMAT, PRECISION, BATCH)                                                                      \
  extern "C" __global__ void __launch_bounds__(384, 1) wide_sum_##FORMAT##_n##BATCH(                            \
      const void* elements, const uint16_t* scales, const f16* s, int rows, int columns, int batch,             \
      const StepState* state, const int* records, int layer, int layers, const uint32_t* union_bits,            \
      int* known_union, int sayers, int stages, float* y) {                                                     \
    WIDE_SUM_BODY(wide_sum_of<PRECISION, BATCH>(elements, scales, s, rows, columns, batch, state, records, layer, \
                                                layers, union_bits, {known_union}, sayers, stages, y);)         \
  }
#define WIDE_SUMS(FORMAT, PRECISION) \
  WIDE_SUM(FORMAT, PRECISION, 32)    \
  WIDE_SUM(FORMAT, PRECISION, 64)

WIDE_SUMS(f16, Precision::kF16)
WIDE_SUMS(int8, Precision::kInt8)
WIDE_SUMS(int4, Precision::kInt4)
