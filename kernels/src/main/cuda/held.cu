// Decode products of up to 16 sequences with the activations held in shared memory (row_stream.cuh, sm_90).
// What product.cu and feed_forward.cu do for any batch, with fewer reads of x and no idle memory
// between tiles; and the one that needs no second pass over the grid:
//
//   held_union   scores, calls and the other product of a sparse feed-forward at once. Whether a neuron
//                is in the union depends on its own row's scores alone, so the block that has them reads
//                the called rows of the other matrix right after, in the same ring. Nothing waits for the
//                whole union. Where the layer's union was past the crossover a step ago, every row is read.
//                held_predicted.cu does it for neurons that a predictor calls.
//
// held_project y f32 [batch x rows]; held_hidden the same as f16; held_qkv as qkv; held_gate_up the dense coefficients.
//
// Shapes: x f16 [batch x columns]; coefficients f16 [f x kBatch], a row a neuron, written where it is
// called; union bits [f / 16] halves of words. Tiles of 16 rows go round the blocks in turn. Bytes: the
// weights read, once; x once a block.

#include "called_rows.cuh"
#include "calls.cuh"
#include "known_union.cuh"
#include "row_stream.cuh"

extern __shared__ __align__(128) char shared[];

#if __CUDA_ARCH__ >= 900

namespace {

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
    const int r = threadIdx.x % 16, at = tile_of(own) * 16 + r;
    for (int b = threadIdx.x / 16; b < batch; b += Stream::kFinishing / 16)
      if (at < rows) y[static_cast<size_t>(b) * rows + at] = stream.total(r, b);
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
    const int r = threadIdx.x % 16;
    for (int b = threadIdx.x / 16; b < batch; b += Stream::kFinishing / 16)
      y[static_cast<size_t>(b) * rows + tile_of(own) * 16 + r] = to_f16(stream.total(r, b));
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

  // Dynamic shared memory: Stream::kFixedBytes, the activations, then, for the block's tiles, barriers of
  // CalledRows, float scores[tiles * 16 * kBatch], and its counts and list.
  StreamedMatrix first, second;
  int rows, batch, activation, own;
  Second kind;
  Calls calls;
  uint16_t* union_bits;
  KnownUnion known_union;
  f16* coefficients;

  __device__ int row_of(int local) const { return tile_of(local / 16) * 16 + local % 16; }

  // A layer past its crossover reads gate and up of all neurons as a dense one does, 8 neurons at a time,
  // and still counts calls.
  __device__ StreamedMatrix gate() const {
    const bool is_second = kind == Second::kGate;
    return {is_second ? second.elements : first.elements, is_second ? second.scales : first.scales, first.columns};
  }

  // The asking warps: the first product's tiles, then the second's as far as rows for them are known.
  __device__ void ask(Stream& stream, const CalledRows& called, bool crossed) const {
    const int r = Stream::asked_row();
    if (crossed) {
      const StreamedMatrix matrix = gate();
      for (int half = 0; half < 2 * called.tiles; half++)
        stream.ask(matrix, tile_of(half / 2) * 16 + half % 2 * 8 + r % 8 + r / 8 * rows);
      return;
    }
    for (int tile = 0; tile < called.tiles; tile++) stream.ask(first, tile_of(tile) * 16 + r);
    KnownRows known(called, 16, called.tiles);
    while (known.next()) {
      const int local = known.row(r);
      stream.ask(second, local < 0 ? -1 : row_of(local));
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

  // The multiplying warps.
  __device__ void multiply(Stream& stream, const CalledRows& called, const typename Stream::X& x, bool crossed) const {
    const int tiles = crossed ? 2 * called.tiles : called.tiles;
    for (int tile = 0; tile < tiles; tile++) stream.multiply(x, first.columns);
    if (!crossed) {
      KnownRows known(called, 16, called.tiles);
      while (known.next()) stream.multiply(x, second.columns);
    }
    stream.leave();
  }

  // The finishing warps of a layer past its crossover.
  __device__ void finish_all(Stream& stream, int tiles, int* flags, int* counts) const {
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;
    int union_rows = 0;
    if (threadIdx.x == 0) {
      calls.record_dense();
      known_union.say();
    }
    for (int half = 0; half < 2 * tiles; half++)
      stream.finish([&] {
        if (r < 8) {
          const int row = tile_of(half / 2) * 16 + half % 2 * 8 + r;
          const float g = activate(activation, stream.total(r, b)), up = stream.total(r + 8, b);
          const bool in = active >> b & 1;
          const bool call = in && calls.called(dense_score(kind, g, up), calls.scale(row), threshold);
          count_calls(call, half % 2 * 8 + r, b, flags, counts);
          coefficients[static_cast<size_t>(row) * kBatch + b] = to_neuron(in && (!own || call) ? g * up : 0);
        }
        if (half % 2 == 0) return;
        const unsigned mask = called_mask(flags);
        if (threadIdx.x == 0) union_bits[tile_of(half / 2)] = static_cast<uint16_t>(mask);
        union_rows += __popc(mask);
      });
    barrier_among(Stream::kFinishing);
    calls.add(union_rows, counts, kBatch);
  }

  // Which of 16 rows have flags, once all finishing warps have set theirs.
  __device__ unsigned called_mask(const int* flags) const {
    const int lane = threadIdx.x % kWarp;
    barrier_among(Stream::kFinishing);
    return __ballot_sync(kAllLanes, lane < 16 && flags[lane & 15] != 0);
  }

  // The finishing warps.
  __device__ void finish(Stream& stream, const CalledRows& called, float* scores, int* flags, int* counts) const {
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    // results of a thread: rows kEach apart
    constexpr int kEach = Stream::kFinishing / kBatch;
    const int first_row = threadIdx.x / kBatch, b = threadIdx.x % kBatch;
    int count = 0;
    for (int tile = 0; tile < called.tiles; tile++)
      stream.finish([&] {
#pragma unroll
        for (int r = first_row; r < 16; r += kEach) {
          float score = stream.total(r, b);
          if (kind == Second::kUp) score = activate(activation, score);
          scores[(tile * 16 + r) * kBatch + b] = score;
          const bool call = (active >> b & 1) && calls.called(score, calls.scale(tile_of(tile) * 16 + r), threshold);
          count_calls(call, r, b, flags, counts);
        }
        const unsigned mask = called_mask(flags);
        if (threadIdx.x < kWarp) {
          called.publish(tile, called.append(tile * 16, mask, count));
          if (threadIdx.x == 0) union_bits[tile_of(tile)] = static_cast<uint16_t>(mask);
        }
        count += __popc(mask);
      });
    if (threadIdx.x == 0) known_union.say();
    barrier_among(Stream::kFinishing);
    KnownRows known(called, 16, called.tiles);
    while (known.next())
      stream.finish([&] {
#pragma unroll
        for (int r = first_row; r < 16; r += kEach) {
          const int local = known.row(r);
          if (local < 0) continue;
          const int row = row_of(local);
          const float score = scores[local * kBatch + b];
          const bool used = (active >> b & 1) && (!own || calls.called(score, calls.scale(row), threshold));
          const float s = used ? coefficient(kind, activation, stream.total(r, b), 0, score) : 0;
          coefficients[static_cast<size_t>(row) * kBatch + b] = to_neuron(s);
        }
      });
    calls.add(count, counts, kBatch);
  }

  // Whole block. Every block has a tile.
  __device__ void run(const f16* from) const {
    __shared__ int flags[16];
    __shared__ int counts[kBatch];
    __shared__ bool crossed;
    const int tiles = own_tiles(rows / 16);
    const typename Stream::X x(shared + Stream::kFixedBytes, first.columns);
    uint64_t* listed = reinterpret_cast<uint64_t*>(x.at + x.bytes());
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
    if (Stream::finishes()) {
      crossed ? finish_all(stream, tiles, flags, counts) : finish(stream, called, scores, flags, counts);
      return;
    }
    x.ask(from, first.columns, batch, stream.held);
    barrier_wait(stream.held, 0);
    multiply(stream, called, x, crossed);
  }
};

}  // namespace

#define HELD_BODY(...) __VA_ARGS__

#else

// The host launches none of these below sm_90.
#define HELD_BODY(...)

#endif

#define HELD_KERNEL(NAME, FORMAT, PRECISION, BATCH, PARAMETERS, ...)                      \
  extern "C" __global__ void __launch_bounds__(512, 1) NAME##_##FORMAT##_n##BATCH PARAMETERS { \
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

HELD_KERNELS(held_hidden,
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
             (const char* first, const uint16_t* first_scales, const char* second, const uint16_t* second_scales,
              const f16* x, int columns, int rows, int batch, CALLS_PARAMETERS, int activation, int own, int kind,
              uint16_t* union_bits, int* known_union, f16* coefficients),
             depend_release();
             const HeldUnion<kPrecision, kBatch> held{{first, first_scales, columns},
                                                      {second, second_scales, columns},
                                                      rows, batch, activation, own, static_cast<Second>(kind),
                                                      CALLS, union_bits, {known_union}, coefficients};
             held.run(x);)
