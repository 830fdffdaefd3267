// The down projection of a sparse feed-forward step of up to 16 sequences on sm_90: the sum of the union's
// rows, weighted,
//
//   y[b, c] = sum over neurons i of the union of s[i, b] W_down[i, c]
//
// W_down [f x d] is the transposed down projection: a neuron's row is contiguous. s f16 [f x kBatch];
// y f32 [splits x batch x d], one summand a split, which the norm that follows adds up in order. A block
// has 256 columns and a range of the neurons, of which it finds the called ones by itself. wide_sum.cu does
// the same for more sequences, sum_rows.cu below sm_90 and where rows do not divide into whole runs of 16
// bytes.
//
// A stage of the block's ring is 16 KiB of weights, its columns of 32 f16, 64 int8 or 128 int4 rows,
// with their s and their scales. One warp asks for weights and scales, another for s, and eight warps
// multiply, each 32 columns (as A, transposed) with the batch. They meet at each stage's two barriers
// alone, full and empty, so that memory never rests. Of a dense step the weights are known beforehand:
// the ring fills while the kernel before is still at s; of a sparse one as soon as the union is known
// (known_union.cuh). The warps ask by cp.async, a lane for 16 bytes:
// a bulk copy is asked for by one lane at a time, and rows this short do not leave the time for it.
//
// Rows in shared memory lie 16 bytes further apart than they are long, so that eight rows at once meet no
// bank twice. How quantised ones become operands is in rank_pairs.cuh.
//
// Bytes: the union's rows once; s once a column tile, from L2, as y.

#include "bulk_copy.cuh"
#include "calls.cuh"
#include "known_union.cuh"
#include "rank_pairs.cuh"
#include "row_list.cuh"

extern __shared__ __align__(128) char shared[];

#if __CUDA_ARCH__ >= 900

namespace {

constexpr uint32_t kF16Of4096 = 0x6c006c00u;

template <Precision kPrecision, int kBatch>
struct SumStream {
  using Weights = Format<kPrecision>;
  static constexpr bool kQuantised = Weights::kQuantised;
  static constexpr int kWarps = 8;                    // that multiply
  static constexpr int kColumns = 256;
  static constexpr int kRowBytes = kColumns * Weights::kBits / 8;
  static constexpr int kRowPitch = kRowBytes + 16;
  static constexpr int kRows = 16384 / kRowBytes;     // of a stage
  static constexpr int kSPitch = kBatch == 8 ? 16 : 48;
  static constexpr int kScaleRowBytes = kQuantised ? kColumns / 32 * 2 : 0;
  static constexpr int kStageBytes = kRows * (kRowPitch + kSPitch + kScaleRowBytes);
  static constexpr int kFit = (96 << 10) / kStageBytes;  // two blocks a multiprocessor
  static constexpr int kStages = kFit < 8 ? kFit : 8;
  static constexpr int kBatchTiles = kBatch / 8;
  static_assert(kBatchTiles <= 2, "neurons are fewer than weights here");

  // Neurons are scaled and not the weights. Scales are of the order of 1e-3, f16's smallest values near:
  // 4096 times as much is taken.
  static constexpr float kSumScale = 1 / kNeuronScale / (kQuantised ? 4096 : 1);

  const char* elements;
  const char* scales;
  const f16* s;
  const int* list;  // the block's rows, in ascending order, then -1 to the end of a stage
  int columns, first_column, ranks;
  char* ring;
  uint64_t* full;   // [kStages]
  uint64_t* empty;  // [kStages]
  float sums[2][kBatchTiles][4];

  // A stage's place in the ring. Its round's parity is that of the phase in which it fills.
  struct Slot {
    int at = 0;
    int parity = 0;
    __device__ void advance() {
      if (++at == kStages) at = 0, parity ^= 1;
    }
  };

  __device__ int stages() const { return divide_up(ranks, kRows); }
  __device__ char* weights_of(const Slot& slot) const { return ring + slot.at * kStageBytes; }
  __device__ char* s_of(const Slot& slot) const { return weights_of(slot) + kRows * kRowPitch; }
  __device__ char* scales_of(const Slot& slot) const { return s_of(slot) + kRows * kSPitch; }

  // kBytes of each of a stage's rows, which are stride apart, 16 bytes a lane; zeros past the last row and
  // past what a row has left. Rows are looked up several at a time: a copy may not overtake a read of the
  // list.
  template <int kBytes, int kPitch>
  __device__ void copy_rows(char* to, const char* from, int stride, int rank, int left) const {
    constexpr int kPieces = kBytes / 16, kAtOnce = kWarp / kPieces;  // rows of the warp's one copy
    constexpr int kEach = kRows / kAtOnce, kGroup = kEach < 16 ? kEach : 16;
    const int lane = threadIdx.x % kWarp, piece = lane % kPieces * 16;
    const bool inside = piece < left;
    const int* of = list + rank + lane / kPieces;
    to += lane / kPieces * kPitch + piece;
    from += inside ? piece : 0;
#pragma unroll
    for (int n = 0; n < kEach; n += kGroup) {
      int rows[kGroup];
#pragma unroll
      for (int m = 0; m < kGroup; m++) rows[m] = of[(n + m) * kAtOnce];
#pragma unroll
      for (int m = 0; m < kGroup; m++)
        copy_async16_or_zero(to + (n + m) * kAtOnce * kPitch,
                             from + static_cast<int64_t>(max(rows[m], 0)) * stride, rows[m] >= 0 && inside);
    }
  }

  // The first asking warp.
  __device__ void ask_weights() const {
    const int row_bytes = Weights::row_bytes(columns), at = first_column / 8 * Weights::kBits;
    const int stages = this->stages();
    Slot slot;
    for (int i = 0; i < stages; i++, slot.advance()) {
      if (i >= kStages) barrier_wait(empty + slot.at, slot.parity ^ 1);
      copy_rows<kRowBytes, kRowPitch>(weights_of(slot), elements + at, row_bytes, i * kRows, row_bytes - at);
      if constexpr (kQuantised)
        copy_rows<kScaleRowBytes, kScaleRowBytes>(scales_of(slot), scales + first_column / 32 * 2, columns / 32 * 2,
                                                  i * kRows, kScaleRowBytes);
      barrier_arrive_copied(full + slot.at);
    }
  }

  // The second, after depend_wait().
  __device__ void ask_s() const {
    const int stages = this->stages();
    Slot slot;
    for (int i = 0; i < stages; i++, slot.advance()) {
      if (i >= kStages) barrier_wait(empty + slot.at, slot.parity ^ 1);
      copy_rows<kBatch * 2, kSPitch>(s_of(slot), reinterpret_cast<const char*>(s), kBatch * 2, i * kRows,
                                     kBatch * 2);
      barrier_arrive_copied(full + slot.at);
    }
  }

  // B of kProducts times 16 ranks from k on.
  template <int kProducts>
  __device__ static void load_s(uint32_t (&b)[kProducts][kBatchTiles][2], const char* s_rows, int k) {
    const int lane = threadIdx.x % kWarp;
    if constexpr (kBatchTiles == 1 && kProducts == 2) {
      uint32_t both[4];
      load_matrix4_transposed(both, s_rows + (k + lane) * kSPitch);
      b[0][0][0] = both[0], b[0][0][1] = both[1], b[1][0][0] = both[2], b[1][0][1] = both[3];
    } else if constexpr (kBatchTiles == 1) {
      load_matrix2_transposed(b[0][0], s_rows + (k + (lane & 15)) * kSPitch);
    } else {
#pragma unroll
      for (int p = 0; p < kProducts; p++) {
        uint32_t both[4];
        load_matrix4_transposed(both, s_rows + (k + 16 * p + (lane & 15)) * kSPitch + (lane >> 4) * 16);
        b[p][0][0] = both[0], b[p][0][1] = both[1], b[p][1][0] = both[2], b[p][1][1] = both[3];
      }
    }
  }

  // kProducts times 16 ranks from k on, f16: all that shared memory has to give is asked for first.
  template <int kProducts>
  __device__ void multiply(const Slot& slot, int k) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    uint32_t a[kProducts][2][4], b[kProducts][kBatchTiles][2];
#pragma unroll
    for (int p = 0; p < kProducts; p++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int rank = k + 16 * p + (lane & 7) + (lane >> 4) * 8;
        load_matrix4_transposed(a[p][i], weights_of(slot) + rank * kRowPitch + (warp * 4 + i * 2 + (lane >> 3 & 1)) * 16);
      }
    load_s(b, s_of(slot), k);
#pragma unroll
    for (int p = 0; p < kProducts; p++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) multiply_16x8x16(sums[i][j], a[p][i], b[p][j]);
  }

  // 32 ranks from k on, quantised.
  __device__ void multiply_packed(const Slot& slot, int k) {
    using Pairs = RankPairs<kPrecision>;
    const int warp = threadIdx.x / kWarp;
    Pairs packed;
    packed.load(weights_of(slot) + k * kRowPitch + warp * Pairs::kWords * 16, kRowPitch,
                scales_of(slot) + k * kScaleRowBytes, warp);
    uint32_t b[2][kBatchTiles][2];
    load_s(b, s_of(slot), k);
#pragma unroll
    for (int p = 0; p < 2; p++) {
      uint32_t a[2][4];
#pragma unroll
      for (int h = 0; h < 2; h++) {
        uint32_t pairs[2][2];
        packed.unpack(pairs, 2 * p + h);
#pragma unroll
        for (int i = 0; i < 2; i++) a[i][2 * h] = pairs[i][0], a[i][2 * h + 1] = pairs[i][1];
        const uint32_t factor = multiply_f16x2(packed.scale[2 * p + h], kF16Of4096);
#pragma unroll
        for (int j = 0; j < kBatchTiles; j++) b[p][j][h] = multiply_f16x2(b[p][j][h], factor);
      }
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) multiply_16x8x16(sums[i][j], a[i], b[p][j]);
    }
  }

  // The multiplying warps. Products wholly past the last rank are left out.
  __device__ void multiply_all() {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] = 0;
    const int stages = this->stages();
    Slot slot;
    for (int i = 0; i < stages; i++, slot.advance()) {
      const int valid = min(kRows, ranks - i * kRows);
      barrier_wait(full + slot.at, slot.parity);
      if constexpr (kQuantised) {
        // past the last rank are zeros; whole stages without a branch, as in row_stream.cuh
        if (valid == kRows) {
#pragma unroll
          for (int k = 0; k < kRows; k += 32) multiply_packed(slot, k);
        } else {
          for (int k = 0; k < valid; k += 32) multiply_packed(slot, k);
        }
      } else {
        int k = 0;
        for (; k + 16 < valid; k += 32) multiply<2>(slot, k);
        if (k < valid) multiply<1>(slot, k);
      }
      __syncwarp();
      if (threadIdx.x % kWarp == 0) barrier_arrive(empty + slot.at);
    }
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] *= kSumScale;
  }

  // y: f32 [batch x columns]
  __device__ void store(float* y, int batch) const {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    const int column = first_column + warp * 32;
#pragma unroll
    for (int j = 0; j < kBatchTiles; j++)
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int b = 8 * j + 2 * t + c;
        float* to = y + static_cast<size_t>(b) * columns + column;
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
          for (int h = 0; h < 2; h++) {
            const int at = i * 16 + g + 8 * h;
            if (b < batch && column + at < columns) to[at] = sums[i][j][c + 2 * h];
          }
      }
  }
};

template <Precision kPrecision, int kBatch>
__device__ void sum_stream_of(const void* elements, const uint16_t* scales, const f16* s, int rows, int columns,
                              int batch, const StepState* state, const int* records, int layer, int layers,
                              const uint32_t* union_bits, const KnownUnion& known_union, int sayers, float* y) {
  using Stream = SumStream<kPrecision, kBatch>;
  __shared__ uint64_t barriers[2 * Stream::kStages];
  depend_release();
  const int warp = threadIdx.x / kWarp;
  const int each = divide_up(divide_up(rows, static_cast<int>(gridDim.y)), 32) * 32;
  const int first = min(static_cast<int>(blockIdx.y) * each, rows), end = min(first + each, rows);
  Stream stream;
  stream.elements = static_cast<const char*>(elements);
  stream.scales = reinterpret_cast<const char*>(scales);
  stream.s = s;
  stream.columns = columns;
  stream.first_column = blockIdx.x * Stream::kColumns;
  stream.ring = shared;
  stream.full = barriers;
  stream.empty = barriers + Stream::kStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < Stream::kStages; i++) {
      barrier_init(stream.full + i, 2 * kWarp);
      barrier_init(stream.empty + i, Stream::kWarps);
    }
    barrier_init_done();
  }
  if (union_bits != nullptr) known_union.await(sayers);
  int* list = reinterpret_cast<int*>(shared + Stream::kStages * Stream::kStageBytes);
  stream.list = list;
  stream.ranks = list_rows(
      union_bits, [&] { return ran_dense(state, records, layer, layers); }, first, end, Stream::kRows, list);
  if (warp == Stream::kWarps) {
    stream.ask_weights();
  } else {
    depend_wait();
    if (warp == Stream::kWarps + 1)
      stream.ask_s();
    else
      stream.multiply_all();
  }
  __syncthreads();  // no warp leaves copies of its own behind
  if (warp < Stream::kWarps) stream.store(y + static_cast<size_t>(blockIdx.y) * batch * columns, batch);
}

}  // namespace

#define SUM_STREAM_BODY(...) __VA_ARGS__

#else

// The host launches none of these below sm_90.
#define SUM_STREAM_BODY(...)

#endif

// grid (columns / 256 rounded up, splits of the rows), 320 threads; dynamic shared memory: the ring, and
// an int for each row of a split, rows / splits rounded up to whole stages. Quantised: columns % 256 == 0
#define SUM_STREAM(FORMAT, PRECISION, BATCH)                                                                    \
  extern "C" __global__ void __launch_bounds__(320, 2) sum_stream_##FORMAT##_n##BATCH(        \
      const void* elements, const uint16_t* scales, const f16* s, int rows, int columns, int batch,            \
      const StepState* state, const int* records, int layer, int layers, const uint32_t* union_bits,           \
      int* known_union, int sayers, float* y) {                                                                 \
    SUM_STREAM_BODY(sum_stream_of<PRECISION, BATCH>(elements, scales, s, rows, columns, batch, state, records,  \
                                                    layer, layers, union_bits, {known_union}, sayers, y);)      \
  }
#define SUM_STREAMS(FORMAT, PRECISION) \
  SUM_STREAM(FORMAT, PRECISION, 8)     \
  SUM_STREAM(FORMAT, PRECISION, 16)

SUM_STREAMS(f16, Precision::kF16)
SUM_STREAMS(int8, Precision::kInt8)
SUM_STREAMS(int4, Precision::kInt4)
