// Decode products of up to 16 sequences with the activations held in shared memory (row_stream.cuh, sm_90).
// What product.cu and feed_forward.cu do for any batch, with fewer reads of x and no idle memory
// between tiles; and the one that needs no second pass over the grid:
//
//   held_union   scores, calls and the other product of a sparse feed-forward at once. Whether a neuron
//                is in the union depends on its own row's scores alone, so the block that has them reads
//                the called rows of the other matrix (or gate and up, for a predictor) right after, in
//                the same ring. Nothing waits for the whole union. Where the layer's union was past the
//                crossover a step ago, every row is read.
//
// held_project y f32 [batch x rows]; held_hidden the same as f16; held_qkv as qkv; held_gate_up the dense coefficients.
//
// Shapes: x f16 [batch x columns]; coefficients f16 [f x kBatch], a row a neuron, written where it is
// called; union bits [f / 16] halves of words. Tiles of 16 rows go round the blocks in turn. Bytes: the
// weights read, once; x once a block.

#include "called_rows.cuh"
#include "calls.cuh"
#include "row_stream.cuh"

extern __shared__ __align__(128) char shared[];

#if __CUDA_ARCH__ >= 900

namespace {

// The tiles of this block: blockIdx.x, + gridDim.x, ...
__device__ __forceinline__ int own_tiles(int tiles) {
  const int first = static_cast<int>(blockIdx.x), each = static_cast<int>(gridDim.x);
  return first < tiles ? (tiles - first - 1) / each + 1 : 0;
}

__device__ __forceinline__ int tile_of(int own) { return blockIdx.x + own * gridDim.x; }

template <Precision kPrecision, int kBatch>
__device__ void held_project_of(const char* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                                int batch, float* y) {
  using Stream = RowStream<kPrecision, kBatch>;
  depend_release();
  Stream stream(shared);
  typename Stream::X held(shared + Stream::kFixedBytes, columns);
  const auto row = [&](int own, int r) {
    const int at = tile_of(own) * 16 + r;
    return at < rows ? at : -1;
  };
  stream.run({elements, scales, columns}, own_tiles(divide_up(rows, 16)), held, x, batch, row, [&](int own) {
    const int r = threadIdx.x % 16, b = threadIdx.x / 16, at = tile_of(own) * 16 + r;
    if (b < batch && at < rows) y[static_cast<size_t>(b) * rows + at] = stream.total(r, b);
  });
}

template <Precision kPrecision, int kBatch>
__device__ void held_hidden_of(const char* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                               int batch, f16* y) {
  using Stream = RowStream<kPrecision, kBatch>;
  depend_release();
  Stream stream(shared);
  typename Stream::X held(shared + Stream::kFixedBytes, columns);
  const auto row = [&](int own, int r) { return tile_of(own) * 16 + r; };
  stream.run({elements, scales, columns}, own_tiles(rows / 16), held, x, batch, row, [&](int own) {
    const int r = threadIdx.x % 16, b = threadIdx.x / 16;
    if (b < batch) y[static_cast<size_t>(b) * rows + tile_of(own) * 16 + r] = to_f16(stream.total(r, b));
  });
}

template <Precision kPrecision, int kBatch>
__device__ void held_qkv_of(const char* elements, const uint16_t* scales, const f16* x, int columns, int batch,
                            const Heads& heads) {
  using Stream = RowStream<kPrecision, kBatch>;
  depend_release();
  Stream stream(shared);
  typename Stream::X held(shared + Stream::kFixedBytes, columns);
  // tile row r < 8 is the first of a pair of the rotation, r + 8 its partner
  const auto row = [&](int own, int r) { return heads.row(tile_of(own) * 8 + r % 8, r / 8); };
  stream.run({elements, scales, columns}, own_tiles(heads.pairs() / 8), held, x, batch, row, [&](int own) {
    const int r = threadIdx.x % 8, b = threadIdx.x / 8;
    if (b < batch) heads.store(tile_of(own) * 8 + r, b, stream.total(r, b), stream.total(r + 8, b));
  });
}

template <Precision kPrecision, int kBatch>
__device__ void held_gate_up_of(const char* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                                int batch, const StepState* state, int activation, f16* coefficients) {
  using Stream = RowStream<kPrecision, kBatch>;
  depend_release();
  Stream stream(shared);
  typename Stream::X held(shared + Stream::kFixedBytes, columns);
  const auto row = [&](int own, int r) { return tile_of(own) * 8 + r % 8 + r / 8 * rows; };
  stream.run({elements, scales, columns}, own_tiles(rows / 8), held, x, batch, row, [&](int own) {
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;
    if (r >= 8) return;
    const bool used = b < batch && state->active[b];
    const float s = used ? activate(activation, stream.total(r, b)) * stream.total(r + 8, b) : 0;
    coefficients[static_cast<size_t>(tile_of(own) * 8 + r) * kBatch + b] = to_neuron(s);
  });
}

template <Precision kPrecision, int kBatch>
struct HeldUnion {
  using Stream = RowStream<kPrecision, kBatch>;

  // Dynamic shared memory: Stream::kFixedBytes, both activations, then, for the block's tiles, barriers
  // of CalledRows, float scores[tiles * 16 * kBatch], and its counts and list.
  StreamedMatrix first, second;
  int rows, batch, activation, own;
  Second kind;
  Calls calls;
  uint16_t* union_bits;
  f16* coefficients;

  __device__ int row_of(int local) const { return tile_of(local / 16) * 16 + local % 16; }

  // A layer past its crossover reads gate and up of all neurons as a dense one does, 8 neurons at a time,
  // and still counts calls. With a predictor the second product takes all neurons.
  __device__ StreamedMatrix gate() const {
    const bool is_second = kind == Second::kGate;
    return {is_second ? second.elements : first.elements, is_second ? second.scales : first.scales, first.columns};
  }

  // The asking warps: the first product's tiles, then the second's as far as rows for them are known.
  __device__ void ask(Stream& stream, const CalledRows& called, bool crossed) const {
    const int r = Stream::asked_row();
    if (crossed && kind != Second::kBoth) {
      const StreamedMatrix matrix = gate();
      for (int half = 0; half < 2 * called.tiles; half++)
        stream.ask(matrix, tile_of(half / 2) * 16 + half % 2 * 8 + r % 8 + r / 8 * rows);
      return;
    }
    for (int tile = 0; tile < called.tiles; tile++) stream.ask(first, tile_of(tile) * 16 + r);
    const NeuronTiles second_tiles(kind, rows);
    const int each = second_tiles.neurons(16);
    KnownRows known{called};
    for (int tile = 0; known.unit(tile, each); tile++) {
      const int local = known.row(tile * each + second_tiles.neuron(r));
      stream.ask(second, second_tiles.row(local < 0 ? -1 : row_of(local), r));
    }
  }

  // Counts the calls of a warp's results: `call` of row `r` by sequence `b`. Whole warps.
  __device__ void count_calls(bool call, int r, int b, int* flags, int* counts) const {
    const int lane = threadIdx.x % kWarp;
    const unsigned votes = __ballot_sync(kAllLanes, call);
    if (b == 0) flags[r] = votes >> lane & ((1u << kBatch) - 1);
    constexpr unsigned kSame = kBatch == 8 ? 0x01010101u : 0x00010001u;
    if (lane < kBatch && (votes & kSame << lane)) atomicAdd(&counts[lane], __popc(votes & kSame << lane));
  }

  // Adds to the layer's record, after a barrier.
  __device__ void record(int union_rows, const int* counts, bool crossed) const {
    if (threadIdx.x == 0 && union_rows != 0) atomicAdd(calls.record(), union_rows);
    if (threadIdx.x == 0 && blockIdx.x == 0 && crossed) calls.record()[1] = 1;
    if (threadIdx.x < kBatch && counts[threadIdx.x] != 0)
      atomicAdd(calls.record() + 2 + threadIdx.x, counts[threadIdx.x]);
  }

  // The multiplying warps of a layer past its crossover.
  __device__ void multiply_all(Stream& stream, int tiles, const typename Stream::X& x, int* flags, int* counts) const {
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;
    int union_rows = 0;
    for (int half = 0; half < 2 * tiles; half++) {
      stream.multiply(x, first.columns);
      if (r < 8) {
        const int row = tile_of(half / 2) * 16 + half % 2 * 8 + r;
        const float g = activate(activation, stream.total(r, b)), up = stream.total(r + 8, b);
        const bool in = active >> b & 1;
        const bool call = in && calls.called(dense_score(kind, g, up), calls.scale(row), threshold);
        count_calls(call, half % 2 * 8 + r, b, flags, counts);
        coefficients[static_cast<size_t>(row) * kBatch + b] = to_neuron(in && (!own || call) ? g * up : 0);
      }
      if (half % 2 == 0) continue;
      barrier_among(Stream::kMultiplying);
      const int lane = threadIdx.x % kWarp;
      const unsigned mask = __ballot_sync(kAllLanes, lane < 16 && flags[lane & 15] != 0);
      if (threadIdx.x == 0) union_bits[tile_of(half / 2)] = static_cast<uint16_t>(mask);
      union_rows += __popc(mask);
    }
    barrier_among(Stream::kMultiplying);
    record(union_rows, counts, true);
  }

  __device__ void multiply(Stream& stream, const CalledRows& called, const typename Stream::X& x1,
                           const typename Stream::X& x2, float* scores, int* flags, int* counts, bool crossed) const {
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    const int lane = threadIdx.x % kWarp;
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;  // of a result; r < 16 has one
    int count = 0, union_rows = 0;
    for (int tile = 0; tile < called.tiles; tile++) {
      stream.multiply(x1, first.columns);
      if (r < 16) {
        float score = stream.total(r, b);
        if (kind == Second::kUp) score = activate(activation, score);
        scores[(tile * 16 + r) * kBatch + b] = score;
        const bool call = (active >> b & 1) && calls.called(score, calls.scale(tile_of(tile) * 16 + r), threshold);
        count_calls(call, r, b, flags, counts);
      }
      barrier_among(Stream::kMultiplying);
      const unsigned mask = __ballot_sync(kAllLanes, lane < 16 && flags[lane & 15] != 0);
      const unsigned read = crossed ? 0xffffu : mask;
      if (threadIdx.x < kWarp) {
        called.publish(tile, called.append(tile * 16, read, count));
        if (lane == 0) union_bits[tile_of(tile)] = static_cast<uint16_t>(mask);
      }
      count += __popc(read);
      union_rows += __popc(mask);
    }
    barrier_among(Stream::kMultiplying);
    const int each = NeuronTiles(kind, rows).neurons(16);
    for (int tile = 0; tile * each < count; tile++) {
      stream.multiply(x2, second.columns);
      const int at = tile * each + r;
      if (r < each && at < count) {
        const int local = called.list[at], row = row_of(local);
        const float score = scores[local * kBatch + b];
        const float other = kind == Second::kBoth ? stream.total(r + 8, b) : 0;
        const bool used = (active >> b & 1) && (!own || calls.called(score, calls.scale(row), threshold));
        const float s = used ? coefficient(kind, activation, stream.total(r, b), other, score) : 0;
        coefficients[static_cast<size_t>(row) * kBatch + b] = to_neuron(s);
      }
    }
    record(union_rows, counts, crossed);
  }

  // Whole block. Every block has a tile.
  __device__ void run(const f16* first_x, const f16* second_x) const {
    __shared__ int flags[16];
    __shared__ int counts[kBatch];
    __shared__ bool crossed;
    const int tiles = own_tiles(rows / 16);
    const bool same = first_x == second_x;
    char* free = shared + Stream::kFixedBytes;
    typename Stream::X x1(free, first.columns);
    if (!same) free += x1.bytes();
    typename Stream::X x2(free, second.columns);
    free += x2.bytes();
    uint64_t* listed = reinterpret_cast<uint64_t*>(free);
    float* scores = reinterpret_cast<float*>(listed + tiles);
    int* called_counts = reinterpret_cast<int*>(scores + tiles * 16 * kBatch);
    const CalledRows called{listed, called_counts, reinterpret_cast<uint16_t*>(called_counts + tiles), tiles};
    if (threadIdx.x < kBatch) counts[threadIdx.x] = 0;
    if (threadIdx.x == 0) {
      crossed = calls.crossed();
      for (int tile = 0; tile < tiles; tile++) barrier_init(listed + tile, 1);
    }
    Stream stream(shared);
    if (Stream::asks()) {
      ask(stream, called, crossed);
      return;
    }
    depend_wait();
    if (threadIdx.x == 0) {
      x1.ask(first_x, first.columns, batch, stream.held);
      if (!same) x2.ask(second_x, second.columns, batch, stream.held + 1);
    }
    barrier_wait(stream.held, 0);
    if (!same) barrier_wait(stream.held + 1, 0);
    if (crossed && kind != Second::kBoth)
      multiply_all(stream, tiles, x1, flags, counts);
    else
      multiply(stream, called, x1, x2, scores, flags, counts, crossed);
  }
};

}  // namespace

#define HELD_BODY(...) __VA_ARGS__

#else

// The host launches none of these below sm_90.
#define HELD_BODY(...)

#endif

#define HELD_KERNEL(NAME, FORMAT, PRECISION, BATCH, PARAMETERS, ...)                      \
  extern "C" __global__ void __launch_bounds__(384, 1) NAME##_##FORMAT##_n##BATCH PARAMETERS { \
    constexpr Precision kPrecision = PRECISION;                                               \
    constexpr int kBatch = BATCH;                                                             \
    (void)kPrecision, (void)kBatch;                                                           \
    HELD_BODY(__VA_ARGS__)                                                                    \
  }
#define HELD_KERNELS_OF(NAME, FORMAT, PRECISION, PARAMETERS, ...)         \
  HELD_KERNEL(NAME, FORMAT, PRECISION, 8, PARAMETERS, __VA_ARGS__)        \
  HELD_KERNEL(NAME, FORMAT, PRECISION, 16, PARAMETERS, __VA_ARGS__)

#define HELD_KERNELS(NAME, PARAMETERS, ...)                                     \
  HELD_KERNELS_OF(NAME, f16, Precision::kF16, PARAMETERS, __VA_ARGS__)        \
  HELD_KERNELS_OF(NAME, int8, Precision::kInt8, PARAMETERS, __VA_ARGS__)        \
  HELD_KERNELS_OF(NAME, int4, Precision::kInt4, PARAMETERS, __VA_ARGS__)

HELD_KERNELS(held_project,
             (const char* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch, float* y),
             held_project_of<kPrecision, kBatch>(elements, scales, x, rows, columns, batch, y);)

HELD_KERNELS_OF(held_hidden, f16, Precision::kF16,
                (const char* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch, f16* y),
                held_hidden_of<kPrecision, kBatch>(elements, scales, x, rows, columns, batch, y);)

HELD_KERNELS(held_qkv,
             (const char* elements, const uint16_t* scales, const f16* x, int columns, int batch, HEADS_PARAMETERS),
             held_qkv_of<kPrecision, kBatch>(elements, scales, x, columns, batch, HEADS);)

HELD_KERNELS(held_gate_up,
             (const char* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch,
              const StepState* state, int activation, f16* coefficients),
             held_gate_up_of<kPrecision, kBatch>(elements, scales, x, rows, columns, batch, state, activation,
                                                 coefficients);)

HELD_KERNELS(held_union,
             (const char* first, const uint16_t* first_scales, const f16* first_x, int first_columns,
              const char* second, const uint16_t* second_scales, const f16* second_x, int second_columns, int rows,
              int batch, const StepState* state, const float* thresholds, const int* dense_from,
              const float* row_scale, int* records, int layer, int layers, int logits, int activation, int own,
              int kind, uint16_t* union_bits, f16* coefficients),
             depend_release();
             const HeldUnion<kPrecision, kBatch> held{{first, first_scales, first_columns},
                                                {second, second_scales, second_columns},
                                                rows, batch, activation, own, static_cast<Second>(kind),
                                                {state, thresholds, dense_from, row_scale, records, layer, layers, logits},
                                                union_bits, coefficients};
             held.run(first_x, second_x);)
