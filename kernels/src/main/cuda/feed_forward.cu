// The rows of a sparse feed-forward step, up to its coefficients s = act(g) * u:
//
//   scores      score[i, b] = W[i] . x[b] for all f neurons (up for m-countdown; gate, activated, for
//               cats; a predictor's second factor for d-countdown), the union of the called neurons,
//               and how many each sequence called
//   paired_scores  the same from two rows a neuron, i and f + i: act(g) u for the oracles; l + |m| for
//               a folded predictor
//   gathered    the other matrix over the union's rows alone, times the score: s over the union
//   gate_up     both matrices, over all rows (dense) or the union's (d-countdown): s
//
// Shapes: x f16 [batch x d]; weights [f x d] as weights.cuh has them; scores f32 [f x kBatch];
// union bits [f / 32]; coefficients f16 [f x kBatch], written for the rows worked through. kBatch is the
// tile (8, 16, 32, 64) that holds `batch` sequences.
//
// Bytes: the weight rows named above, once; the rest stays in L2.

#include "activation.cuh"
#include "calls.cuh"
#include "decode_kernels.cuh"
#include "row_ranks.cuh"
#include "row_tile.cuh"

extern __shared__ __align__(128) char shared[];

namespace {

constexpr int kNoActivation = -1;
constexpr int kFold = -2;  // of paired_scores

// scores [neurons of the tile x kBatch] are staged in `staged` with a stride; calls neurons, writes
// union bits, counts and scores. `first` is the tile's first neuron, a multiple of 32.
template <int kBatch>
__device__ void call_neurons(const Calls& calls, float* staged, int stride, int neurons, int first, int rows, int batch,
                             int activation, float* scores, uint32_t* union_bits) {
  const int lane = threadIdx.x % kWarp;
  const uint64_t active = active_mask(calls.state, batch);
  const float threshold = calls.threshold();
  for (int r = threadIdx.x; r < neurons; r += blockDim.x) {
    const int row = first + r;
    const bool inside = row < rows;
    const float scale = inside ? calls.scale(row) : 0;
    float* at = staged + r * stride;
    bool any = false;
    int counts[divide_up(kBatch, kWarp)] = {};
#pragma unroll 8
    for (int b = 0; b < kBatch; b++) {
      float score = at[b];
      if (activation != kNoActivation) at[b] = score = activate(activation, score);
      const bool call = inside && (active >> b & 1) && calls.called(score, scale, threshold);
      any |= call;
      const int votes = __popc(__ballot_sync(kAllLanes, call));
      if (lane == b % kWarp) counts[b / kWarp] += votes;
    }
    const unsigned bits = __ballot_sync(kAllLanes, any);
    if (lane == 0 && inside) union_bits[row / 32] = bits;
#pragma unroll
    for (int i = 0; i < divide_up(kBatch, kWarp); i++)
      if (counts[i] != 0) atomicAdd(calls.record() + 2 + i * kWarp + lane, counts[i]);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < neurons * kBatch; i += blockDim.x) {
    const int r = i / kBatch, b = i % kBatch;
    if (first + r < rows) scores[static_cast<size_t>(first) * kBatch + i] = staged[r * stride + b];
  }
}

template <Precision kPrecision, int kBatch>
__device__ void scores_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch,
                          float* partial, int* arrivals, Calls calls, int activation, float* scores,
                          uint32_t* union_bits) {
  using Tile = RowTile<kPrecision, kBatch>;
  depend_release();
  const int tile = blockIdx.x, split = blockIdx.y, splits = gridDim.y;
  const Share share(divide_up(columns, Tile::kColumns), split, splits);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return min(tile * Tile::kRows + r, rows - 1); }, [] { depend_wait(); });
  if (!product.combine(partial, arrivals, tile, split, splits)) return;
  call_neurons<kBatch>(calls, product.store(), Tile::kOutStride, Tile::kRows, tile * Tile::kRows, rows, batch,
                       activation, scores, union_bits);
}

template <Precision kPrecision, int kBatch>
__device__ void paired_scores_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch,
                          float* partial, int* arrivals, Calls calls, int activation, float* scores,
                          uint32_t* union_bits) {
  using Tile = RowTile<kPrecision, kBatch>;
  constexpr int kNeurons = Tile::kRows / 2;
  depend_release();
  const int tile = blockIdx.x, split = blockIdx.y, splits = gridDim.y;
  const Share share(divide_up(columns, Tile::kColumns), split, splits);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run(
      [&](int r) { return min(tile * kNeurons + r % kNeurons, rows - 1) + r / kNeurons * rows; }, [] { depend_wait(); });
  if (!product.combine(partial, arrivals, tile, split, splits)) return;
  float* out = product.store();
  for (int i = threadIdx.x; i < kNeurons * kBatch; i += blockDim.x) {
    float* first = out + i / kBatch * Tile::kOutStride + i % kBatch;
    const float second = first[kNeurons * Tile::kOutStride];
    *first = activation == kFold ? *first + fabsf(second) : activate(activation, *first) * second;
  }
  __syncthreads();
  call_neurons<kBatch>(calls, out, Tile::kOutStride, kNeurons, tile * kNeurons, rows, batch, kNoActivation, scores,
                       union_bits);
}

// The tiles and splits of a gathered kernel follow from the union's size: a small union is split over
// columns too, so that all multiprocessors read.
struct Gathered {
  int tile, split, splits;
  bool idle;
  __device__ Gathered(int count, int rows_per_tile, int steps) {
    const int tiles = divide_up(count, rows_per_tile);
    splits = tiles == 0 ? 1 : max(1, min(min(static_cast<int>(gridDim.x) / tiles, 8), steps / 4));
    tile = blockIdx.x / splits;
    split = blockIdx.x % splits;
    idle = tile >= tiles;
  }
};

__device__ __forceinline__ void record_union(const Calls& calls, const RowRanks& ranks) {
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    calls.record()[0] = ranks.union_rows();
    calls.record()[1] = ranks.every_row();
  }
}

template <Precision kPrecision, int kBatch>
__device__ void gathered_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                            int batch, float* partial, int* arrivals, Calls calls, int activation, int own,
                            const float* scores, const uint32_t* union_bits, f16* coefficients) {
  using Tile = RowTile<kPrecision, kBatch>;
  __shared__ int ranks_memory[RowRanks::kInts];
  __shared__ int list[Tile::kRows];
  depend_release();
  depend_wait();
  const RowRanks ranks(ranks_memory, union_bits, rows, calls.dense_from[calls.state->bucket]);
  record_union(calls, ranks);
  const int steps = divide_up(columns, Tile::kColumns);
  const Gathered unit(ranks.count(), Tile::kRows, steps);
  if (unit.idle) return;
  const int first = unit.tile * Tile::kRows;
  ranks.list(first, Tile::kRows, list);
  const Share share(steps, unit.split, unit.splits);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return list[r]; }, [] {});
  if (!product.combine(partial, arrivals, unit.tile, unit.split, unit.splits)) return;
  const float* out = product.store();
  const uint64_t active = active_mask(calls.state, batch);
  const float threshold = calls.threshold();
  const int here = min(Tile::kRows, ranks.count() - first);
  for (int i = threadIdx.x; i < here * (kBatch / 2); i += blockDim.x) {
    const int r = i / (kBatch / 2), b = i % (kBatch / 2) * 2;
    const int row = list[r];
    const float scale = calls.scale(row);
    const float2 score = __ldcg(reinterpret_cast<const float2*>(scores + static_cast<size_t>(row) * kBatch + b));
    float s[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float product_sum = out[r * Tile::kOutStride + b + h];
      const float of = h == 0 ? score.x : score.y;
      const bool used = (active >> (b + h) & 1) && (!own || calls.called(of, scale, threshold));
      s[h] = used ? (activation == kNoActivation ? product_sum : activate(activation, product_sum)) * of : 0;
    }
    *reinterpret_cast<uint32_t*>(coefficients + static_cast<size_t>(row) * kBatch + b) = pack_f16(s[0] * kNeuronScale, s[1] * kNeuronScale);
  }
}

template <Precision kPrecision, int kBatch>
__device__ void gate_up_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                           int batch, float* partial, int* arrivals, Calls calls, int activation, int own,
                           const float* scores, const uint32_t* union_bits, f16* coefficients) {
  using Tile = RowTile<kPrecision, kBatch>;
  constexpr int kNeurons = Tile::kRows / 2;
  __shared__ int ranks_memory[RowRanks::kInts];
  __shared__ int list[kNeurons];
  depend_release();
  const int steps = divide_up(columns, Tile::kColumns);
  const bool dense = union_bits == nullptr;
  if (!dense) depend_wait();
  const RowRanks ranks(ranks_memory, union_bits, rows, dense ? 0 : calls.dense_from[calls.state->bucket]);
  if (!dense) record_union(calls, ranks);
  const Gathered unit(ranks.count(), kNeurons, steps);
  if (unit.idle) {
    depend_wait();
    return;
  }
  const int first = unit.tile * kNeurons;
  ranks.list(first, kNeurons, list);
  const Share share(steps, unit.split, unit.splits);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return list[r % kNeurons] + r / kNeurons * rows; }, [&] {
    if (dense) depend_wait();
  });
  if (!product.combine(partial, arrivals, unit.tile, unit.split, unit.splits)) return;
  const float* out = product.store();
  const uint64_t active = active_mask(calls.state, batch);
  const float threshold = own ? calls.threshold() : 0;
  const int here = min(kNeurons, ranks.count() - first);
  for (int i = threadIdx.x; i < here * (kBatch / 2); i += blockDim.x) {
    const int r = i / (kBatch / 2), b = i % (kBatch / 2) * 2;
    float s[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float* gate = out + r * Tile::kOutStride + b + h;
      bool used = active >> (b + h) & 1;
      if (own && used) {
        const float score = __ldcg(scores + static_cast<size_t>(list[r]) * kBatch + b + h);
        used = calls.called(score, calls.scale(list[r]), threshold);
      }
      s[h] = used ? activate(activation, *gate) * gate[kNeurons * Tile::kOutStride] : 0;
    }
    *reinterpret_cast<uint32_t*>(coefficients + static_cast<size_t>(list[r]) * kBatch + b) = pack_f16(s[0] * kNeuronScale, s[1] * kNeuronScale);
  }
}

}  // namespace

#define PRODUCT_PARAMETERS                                                                               \
  const void *elements, const uint16_t *scales, const f16 *x, int rows, int columns, int batch, float *partial, \
      int *arrivals
#define PRODUCT elements, scales, x, rows, columns, batch, partial, arrivals

// grid (tiles of RowTile::kRows rows, splits of the columns)
DECODE_KERNELS(scores, 128, scores_of,
               (PRODUCT_PARAMETERS, CALLS_PARAMETERS, int activation, float* scores, uint32_t* union_bits),
               (PRODUCT, CALLS, activation, scores, union_bits))

// grid (tiles of RowTile::kRows / 2 neurons, splits of the columns)
DECODE_KERNELS(paired_scores, 128, paired_scores_of,
               (PRODUCT_PARAMETERS, CALLS_PARAMETERS, int activation, float* scores, uint32_t* union_bits),
               (PRODUCT, CALLS, activation, scores, union_bits))

// grid (tiles of RowTile::kRows rows that f would make)
DECODE_KERNELS(gathered, 128, gathered_of,
               (PRODUCT_PARAMETERS, CALLS_PARAMETERS, int activation, int own, const float* scores,
                const uint32_t* union_bits, f16* coefficients),
               (PRODUCT, CALLS, activation, own, scores, union_bits, coefficients))

// grid (tiles of RowTile::kRows / 2 neurons that f would make); union_bits null for dense
DECODE_KERNELS(gate_up, 128, gate_up_of,
               (PRODUCT_PARAMETERS, CALLS_PARAMETERS, int activation, int own, const float* scores,
                const uint32_t* union_bits, f16* coefficients),
               (PRODUCT, CALLS, activation, own, scores, union_bits, coefficients))
