// The sparse feed-forward of up to 16 sequences whose neurons a predictor calls (sm_90): logits, calls, and
// gate and up of the called neurons in one kernel, as held_union (held.cu) is where scores are products with
// the step's own input. z is the predictor's hidden layer, A x:
//
//   logit[i, b] = B[i] . z[b]                    linear
//                 B[i] . z[b] + |F[i] . z[b]|    folded; F's rows follow all of B's
//
// A unit is eight neurons: eight rows of B, which lie together in memory, and of F. A bulk copy or two for
// each bring it, several units a stage of the ring that gate and up go through afterwards (row_stream.cuh).
// One warp multiplies a unit, so nothing is added up across warps and the block meets at no barrier; it
// lists what the unit calls after the unit before has been listed, and rows of gate and up are asked for
// while later units are still multiplied. Where the layer's union was past the crossover a step ago, all are.
//
// Shapes: z f16 [batch x rank], rank a multiple of 64; x f16 [batch x d]; the factor [f or 2f x rank], gate and
// up [2f x d], formats of their own; union bits [f / 8] bytes; coefficients f16 [f x kBatch], written where
// neurons are called. Bytes: the factor once, gate and up of the union; z and x once a block.

#include "called_rows.cuh"
#include "calls.cuh"
#include "known_union.cuh"
#include "row_stream.cuh"

extern __shared__ __align__(128) char shared[];

#if __CUDA_ARCH__ >= 900

namespace {

template <Precision kFactor, Precision kPrecision, int kBatch>
struct HeldPredicted {
  using Stream = RowStream<kPrecision, kBatch>;
  using Factor = Format<kFactor>;
  using Z = typename RowStream<kFactor, kBatch>::PaddedX;
  static constexpr int kUnit = 8;
  static constexpr int kWarps = Stream::kWarps;

  // Dynamic shared memory: Stream::kSumsAt, the stream's sums and in the same place, until units are done,
  // z; x; then, for each unit, a barrier of CalledRows, its count, eight places of its list, and for each
  // neuron who called it (uint16_t).
  StreamedMatrix factor, gate_up;
  int rows, batch, activation, own, folded;
  Calls calls;
  uint8_t* union_bits;
  KnownUnion known_union;
  f16* coefficients;

  __device__ int row_of(int local) const { return tile_of(local / 16) * 16 + local % 16; }

  // How units lie in the ring.
  struct Units {
    int count, halves, element_bytes, scale_bytes, bytes, in_stage;

    __device__ Units(const HeldPredicted& of, int count) : count(count), halves(of.folded ? 2 : 1) {
      element_bytes = kUnit * Factor::row_bytes(of.factor.columns);
      scale_bytes = Factor::kQuantised ? kUnit * 2 * (of.factor.columns / 32) : 0;
      bytes = halves * (element_bytes + scale_bytes);
      const int fit = min(Stream::kStageBytes / bytes, kWarps);
      in_stage = min(fit, divide_up(count, Stream::kStages));
    }
    __device__ int stages() const { return divide_up(count, in_stage); }
    __device__ int of_stage(int stage) const { return min(in_stage, count - stage * in_stage); }
  };

  // The asking warps.
  __device__ void ask(Stream& stream, const Units& units, const CalledRows& called) const {
    const int lane = threadIdx.x % kWarp, asker = Stream::asker();
    const int copies = units.halves * (Factor::kQuantised ? 2 : 1);
    for (; stream.at < units.stages(); stream.at++) {
      const int slot = stream.at % Stream::kStages, first = stream.at * units.in_stage;
      const int here = units.of_stage(stream.at);
      const int mine = here > asker ? (here - asker - 1) / Stream::kAskers + 1 : 0;
      if (stream.at >= Stream::kStages) barrier_wait(stream.empty + slot, (stream.at / Stream::kStages - 1) & 1);
      if (lane == 0) barrier_expect(stream.full + slot, mine * units.bytes);
      __syncwarp();
      if (lane < copies) {
        const int half = lane % units.halves;
        const bool is_scales = lane >= units.halves;
        const int bytes = is_scales ? units.scale_bytes : units.element_bytes;
        const char* from = is_scales ? reinterpret_cast<const char*>(factor.scales) : factor.elements;
        char* to = stream.ring + slot * Stream::kStageBytes + half * bytes +
                   (is_scales ? units.halves * units.element_bytes : 0);
        for (int i = asker; i < here; i += Stream::kAskers) {
          const int unit = half * (rows / kUnit) + row_of((first + i) * kUnit) / kUnit;
          copy_bulk(to + i * units.bytes, from + static_cast<size_t>(unit) * bytes, bytes, stream.full + slot);
        }
      }
    }
    const NeuronTiles tiles(Second::kBoth, rows);
    const int r = Stream::asked_row();
    KnownRows known(called, kUnit, called.tiles);
    while (known.next()) {
      const int local = known.row(tiles.neuron(r));
      stream.ask(gate_up, tiles.row(local < 0 ? -1 : row_of(local), r));
    }
  }

  // The multiplying warps: calls of all units.
  __device__ void call(Stream& stream, const Units& units, const CalledRows& called, const Z& z, uint16_t* callers,
                       int* counts, int* union_rows, bool crossed) const {
    const int warp = Stream::multiplier(), lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
    const int row_bytes = Factor::row_bytes(factor.columns);
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    int calls_of[Stream::kBatchTiles][2] = {}, rows_called = 0;
    const PaddedColumns held_z = z.view();
    for (; stream.at < units.stages(); stream.at++) {
      // every warp sees every stage, so that none misses a phase of its barriers
      const int slot = stream.at % Stream::kStages, first = stream.at * units.in_stage;
      barrier_wait(stream.full + slot, stream.at / Stream::kStages & 1);
      const int unit = first + ((warp - first) & (kWarps - 1));
      const bool mine = unit < first + units.of_stage(stream.at);
      float sums[Stream::kBatchTiles][4] = {}, others[Stream::kBatchTiles][4] = {};
      if (mine) {
        constexpr int kStep = RowPieces<kFactor>::kAtOnce;
        const char* at = stream.ring + slot * Stream::kStageBytes + (unit - first) * units.bytes;
        const uint16_t* scales = reinterpret_cast<const uint16_t*>(at + units.halves * units.element_bytes);
        const RowPieces<kFactor> pieces(at, row_bytes, units.halves * kUnit, scales, factor.columns / 32);
        const int count = row_bytes / 16;
        int piece = 0;
        // two sums, since a product waits for the one before on its own
#pragma unroll 2
        for (; piece + kStep < count; piece += 2 * kStep) {
          pieces.multiply(sums, held_z, piece);
          pieces.multiply(others, held_z, piece + kStep);
        }
        if (piece < count) pieces.multiply(sums, held_z, piece);
      }
      __syncwarp();
      if (lane == 0) barrier_arrive(stream.empty + slot);
      if (!mine) continue;

      uint32_t callers_of_row = 0;
#pragma unroll
      for (int j = 0; j < Stream::kBatchTiles; j++)
#pragma unroll
        for (int c = 0; c < 2; c++) {
          const int b = 8 * j + 2 * t + c;
          const float fold = folded ? fabsf(sums[j][c + 2] + others[j][c + 2]) : 0;
          const float logit = sums[j][c] + others[j][c] + fold;
          const bool call = (active >> b & 1) && calls.called(logit, 1, threshold);
          calls_of[j][c] += __popc(__ballot_sync(kAllLanes, call) & 0x11111111u << t);
          callers_of_row |= static_cast<uint32_t>(call) << b;
        }
      callers_of_row |= __shfl_xor_sync(kAllLanes, callers_of_row, 1);
      callers_of_row |= __shfl_xor_sync(kAllLanes, callers_of_row, 2);
      if (t == 0) callers[unit * kUnit + g] = static_cast<uint16_t>(callers_of_row);
      const uint32_t mask = eight_rows(callers_of_row != 0);
      int before = 0;
      if (unit > 0) {
        barrier_wait(called.listed + unit - 1, 0);
        before = called.counts[unit - 1];
      }
      called.publish(unit, called.append(unit * kUnit, crossed ? 0xffu : mask, before));
      if (lane == 0) union_bits[row_of(unit * kUnit) / kUnit] = static_cast<uint8_t>(mask);
      rows_called += __popc(mask);
    }
    if (lane == 0 && rows_called != 0) atomicAdd(union_rows, rows_called);
#pragma unroll
    for (int j = 0; j < Stream::kBatchTiles; j++)
#pragma unroll
      for (int c = 0; c < 2; c++)
        if (g == 0 && calls_of[j][c] != 0) atomicAdd(counts + 8 * j + 2 * t + c, calls_of[j][c]);
    // sums take z's place, and who finishes needs the counts
    barrier_among(Stream::kSumming);
  }

  // The multiplying warps, then: gate and up of the called neurons.
  __device__ void multiply(Stream& stream, const CalledRows& called, const typename Stream::PaddedX& x) const {
    KnownRows known(called, kUnit, called.tiles);
    while (known.next()) stream.multiply(x, gate_up.columns);
    stream.leave();
  }

  // The finishing warps: the record, and coefficients of the called neurons.
  __device__ void finish(Stream& stream, const CalledRows& called, const uint16_t* callers, const int* counts,
                         const int* union_rows, bool crossed) const {
    const uint64_t active = active_mask(calls.state, batch);
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;  // of a result; r < 8 has one
    barrier_among(Stream::kSumming);
    calls.add(*union_rows, counts, kBatch);
    if (threadIdx.x == 0) {
      if (crossed) calls.record_dense();
      known_union.say();
    }
    KnownRows known(called, kUnit, called.tiles);
    while (known.next())
      stream.finish([&] {
        const int local = r < kUnit ? known.row(r) : -1;
        if (local < 0) return;
        const bool used = (own ? callers[local] : active) >> b & 1;
        const float s = used ? activate(activation, stream.total(r, b)) * stream.total(r + 8, b) : 0;
        coefficients[static_cast<size_t>(row_of(local)) * kBatch + b] = to_neuron(s);
      });
  }

  // Whole block. Every block has a tile.
  __device__ void run(const f16* from_z, const f16* from_x) const {
    __shared__ int counts[kBatch];
    __shared__ int union_rows;
    __shared__ bool crossed;
    const Units units(*this, 2 * own_tiles(rows / 16));
    const Z z(shared + Stream::kSumsAt, factor.columns);
    const typename Stream::PaddedX x(z.at + max(z.bytes(), Stream::kSumsBytes), gate_up.columns);
    uint64_t* listed = reinterpret_cast<uint64_t*>(x.at + x.bytes());
    int* called_counts = reinterpret_cast<int*>(listed + units.count);
    uint16_t* list = reinterpret_cast<uint16_t*>(called_counts + units.count);
    uint16_t* callers = list + units.count * kUnit;
    const CalledRows called{listed, called_counts, list, units.count};
    if (threadIdx.x < kBatch) counts[threadIdx.x] = 0;
    if (threadIdx.x == 0) {
      crossed = calls.crossed();
      union_rows = 0;
      for (int unit = 0; unit < units.count; unit++) barrier_init(listed + unit, 1);
    }
    Stream stream(shared, 1);
    if (Stream::asks()) {
      ask(stream, units, called);
      return;
    }
    depend_wait();
    if (Stream::finishes()) {
      finish(stream, called, callers, counts, &union_rows, crossed);
      return;
    }
    if (threadIdx.x == Stream::kFinishing) {
      z.ask(from_z, factor.columns, batch, stream.held);
      x.ask(from_x, gate_up.columns, batch, stream.held + 1);
    }
    barrier_wait(stream.held, 0);
    call(stream, units, called, z, callers, counts, &union_rows, crossed);
    barrier_wait(stream.held + 1, 0);
    multiply(stream, called, x);
  }
};

}  // namespace

#define PREDICTED_BODY(...) __VA_ARGS__

#else

// The host launches none of these below sm_90.
#define PREDICTED_BODY(...)

#endif

#define PREDICTED(FACTOR, FACTOR_PRECISION, FORMAT, PRECISION, BATCH)                                              \
  extern "C" __global__ void __launch_bounds__(512, 1) held_predicted_##FACTOR##_##FORMAT##_n##BATCH(             \
      const char* factor, const uint16_t* factor_scales, const f16* z, int rank, const char* gate_up,             \
      const uint16_t* gate_up_scales, const f16* x, int columns, int rows, int batch, CALLS_PARAMETERS,           \
      int activation, int own, int folded, uint8_t* union_bits, int* known_union, f16* coefficients) {            \
    PREDICTED_BODY(                                                                                               \
        depend_release();                                                                                         \
        const HeldPredicted<FACTOR_PRECISION, PRECISION, BATCH> held{{factor, factor_scales, rank},               \
                                                                     {gate_up, gate_up_scales, columns},          \
                                                                     rows, batch, activation, own, folded, CALLS, \
                                                                     union_bits, {known_union}, coefficients};    \
        held.run(z, x);)                                                                                          \
  }
#define PREDICTED_BY(FACTOR, FACTOR_PRECISION)                            \
  PREDICTED(FACTOR, FACTOR_PRECISION, f16, Precision::kF16, 8)            \
  PREDICTED(FACTOR, FACTOR_PRECISION, f16, Precision::kF16, 16)           \
  PREDICTED(FACTOR, FACTOR_PRECISION, int8, Precision::kInt8, 8)          \
  PREDICTED(FACTOR, FACTOR_PRECISION, int8, Precision::kInt8, 16)         \
  PREDICTED(FACTOR, FACTOR_PRECISION, int4, Precision::kInt4, 8)          \
  PREDICTED(FACTOR, FACTOR_PRECISION, int4, Precision::kInt4, 16)

PREDICTED_BY(f16, Precision::kF16)
PREDICTED_BY(int8, Precision::kInt8)
PREDICTED_BY(int4, Precision::kInt4)
