// Decode products of up to 16 sequences with the activations held in shared memory (row_stream.cuh, sm_90).
// What product.cu and feed_forward.cu do for any batch, with fewer reads of x and no idle memory
// between tiles; and the one that needs no second pass over the grid:
//
//   held_union   scores, calls and the other product of a sparse feed-forward at once. Whether a neuron
//                is in the union depends on its own row's scores alone, so the block that has them reads
//                the called rows of the other matrix (or gate and up, for a predictor) right after, in
//                the same ring. Nothing waits for the whole union.
//
// held_project y f32 [batch x rows]; held_hidden the same as f16; held_qkv as qkv; held_gate_up the dense coefficients.
//
// Shapes: x f16 [batch x columns]; coefficients f16 [f x kBatch], a row a neuron, written where it is
// called; union bits [f / 16] halves of words. Tiles of 16 rows go round the blocks in turn. Bytes: the
// weights read, once; x once a block.

#include "activation.cuh"
#include "calls.cuh"
#include "row_stream.cuh"

extern __shared__ __align__(128) char shared[];

#if __CUDA_ARCH__ >= 900

namespace {

constexpr int kPagePositions = 64;

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
                            const StepState* state, int heads, int kv_heads, int head_size, const float* cosines,
                            const float* sines, const int* page_table, int most_pages, f16* keys, f16* values,
                            f16* queries) {
  using Stream = RowStream<kPrecision, kBatch>;
  depend_release();
  Stream stream(shared);
  typename Stream::X held(shared + Stream::kFixedBytes, columns);
  const int half = head_size / 2;
  // tile row r < 8 is the first of a pair of the rotation, r + 8 its partner
  const auto row = [&](int own, int r) {
    const int pair = tile_of(own) * 8 + r % 8;
    return pair / half * head_size + pair % half + r / 8 * half;
  };
  const int pairs = (heads + 2 * kv_heads) * half;
  stream.run({elements, scales, columns}, own_tiles(pairs / 8), held, x, batch, row, [&](int own) {
    const int r = threadIdx.x % 8, b = threadIdx.x / 8;
    if (b >= batch || !state->active[b]) return;
    const int pair = tile_of(own) * 8 + r, head = pair / half, dimension = pair % half;
    float low = stream.total(r, b), high = stream.total(r + 8, b);
    const int position = state->position[b];
    if (head < heads + kv_heads) {
      const float cosine = cosines[static_cast<size_t>(position) * half + dimension];
      const float sine = sines[static_cast<size_t>(position) * half + dimension];
      const float rotated = low * cosine - high * sine;
      high = high * cosine + low * sine;
      low = rotated;
    }
    f16* to;
    if (head < heads) {
      to = queries + (static_cast<size_t>(b) * heads + head) * head_size;
    } else {
      const int page = page_table[state->slot[b] * most_pages + position / kPagePositions];
      const bool is_key = head < heads + kv_heads;
      const int kv_head = head - heads - (is_key ? 0 : kv_heads);
      to = (is_key ? keys : values) +
           ((static_cast<size_t>(page) * kv_heads + kv_head) * kPagePositions + position % kPagePositions) * head_size;
    }
    to[dimension] = to_f16(low);
    to[dimension + half] = to_f16(high);
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

// How the second product follows from the calls.
enum class Second : int {
  kGate = 0,   // s = act(product) * score: m-countdown
  kUp = 1,     // s = product * score, the score activated: cats
  kBoth = 2,   // s = act(gate) * up: a predictor's
};

template <Precision kPrecision, int kBatch>
struct HeldUnion {
  using Stream = RowStream<kPrecision, kBatch>;

  // Dynamic shared memory: Stream::kFixedBytes, both activations, then
  // float scores[own tiles * 16 * kBatch], short list[own tiles * 16].
  StreamedMatrix first, second;
  int rows, batch, activation, own;
  Second kind;
  Calls calls;
  uint16_t* union_bits;
  f16* coefficients;

  __device__ int row_of(int local) const { return tile_of(local / 16) * 16 + local % 16; }
  // Neurons of a tile of the second product.
  __device__ int neurons() const { return kind == Second::kBoth ? 8 : 16; }

  // What the multiplying warps tell the asking ones: how many rows are called so far, negative (less one)
  // once that is all of them.
  struct Called {
    short* list;
    volatile int* count;
  };

  // The asking warps: the first product's tiles, then the second's as far as rows for them are known.
  __device__ void ask(Stream& stream, int tiles, const Called& called) const {
    const int r = Stream::asked_row();
    for (int tile = 0; tile < tiles; tile++) stream.ask(first, tile_of(tile) * 16 + r);
    const int each = neurons();
    for (int tile = 0;; tile++) {
      int known;
      do {
        known = __shfl_sync(kAllLanes, *called.count, 0);  // one answer for all lanes
      } while (known >= 0 && known < (tile + 1) * each);
      __threadfence_block();
      const int count = known < 0 ? -known - 1 : known;
      if (tile * each >= count) return;
      const int at = tile * each + r % each;
      stream.ask(second, at < count ? row_of(called.list[at]) + r / each * rows : -1);
    }
  }

  __device__ void multiply(Stream& stream, int tiles, const Called& called, const typename Stream::X& x1,
                           const typename Stream::X& x2, float* scores, int* flags, int* counts) const {
    const uint64_t active = active_mask(calls.state, batch);
    const float threshold = calls.threshold();
    const int lane = threadIdx.x % kWarp;
    const int r = threadIdx.x / kBatch, b = threadIdx.x % kBatch;  // of a result; r < 16 has one
    int count = 0;
    for (int tile = 0; tile < tiles; tile++) {
      stream.multiply(x1, first.columns);
      if (r < 16) {
        float score = stream.total(r, b);
        if (kind == Second::kUp) score = activate(activation, score);
        scores[(tile * 16 + r) * kBatch + b] = score;
        const bool call = (active >> b & 1) && calls.called(score, calls.scale(tile_of(tile) * 16 + r), threshold);
        const unsigned votes = __ballot_sync(kAllLanes, call);
        if (b == 0) flags[r] = votes >> lane & ((1u << kBatch) - 1);
        constexpr unsigned kSame = kBatch == 8 ? 0x01010101u : 0x00010001u;
        if (lane < kBatch && (votes & kSame << lane)) atomicAdd(&counts[lane], __popc(votes & kSame << lane));
      }
      barrier_among(Stream::kMultiplying);
      const unsigned mask = __ballot_sync(kAllLanes, lane < 16 && flags[lane & 15] != 0);
      if (threadIdx.x < kWarp) {
        if (mask >> lane & 1) called.list[count + __popc(mask & ((1u << lane) - 1))] = static_cast<short>(tile * 16 + lane);
        __threadfence_block();
        __syncwarp();
        if (lane == 0) {
          const int all = count + __popc(mask);
          *called.count = tile == tiles - 1 ? -all - 1 : all;
          union_bits[tile_of(tile)] = static_cast<uint16_t>(mask);
        }
      }
      count += __popc(mask);
    }
    barrier_among(Stream::kMultiplying);
    for (int tile = 0; tile * neurons() < count; tile++) {
      stream.multiply(x2, second.columns);
      const int at = tile * neurons() + r;
      if (r < neurons() && at < count) {
        const int local = called.list[at], row = row_of(local);
        const float score = scores[local * kBatch + b];
        const float product = stream.total(r, b);
        const bool used = (active >> b & 1) && (!own || calls.called(score, calls.scale(row), threshold));
        const float s = kind == Second::kGate  ? activate(activation, product) * score
                        : kind == Second::kUp ? product * score
                                              : activate(activation, product) * stream.total(r + 8, b);
        coefficients[static_cast<size_t>(row) * kBatch + b] = to_neuron(used ? s : 0);
      }
    }
    if (threadIdx.x == 0 && count != 0) atomicAdd(calls.record(), count);
    if (threadIdx.x < kBatch && counts[threadIdx.x] != 0)
      atomicAdd(calls.record() + 2 + threadIdx.x, counts[threadIdx.x]);
  }

  // Whole block. Every block has a tile.
  __device__ void run(const f16* first_x, const f16* second_x) const {
    __shared__ int flags[16];
    __shared__ int counts[kBatch];
    __shared__ int count;
    if (threadIdx.x < kBatch) counts[threadIdx.x] = 0;
    if (threadIdx.x == 0) count = 0;
    Stream stream(shared);
    char* free = shared + Stream::kFixedBytes;
    typename Stream::X x1(free, first.columns);
    free += x1.bytes();
    const bool same = first_x == second_x;
    typename Stream::X x2(same ? x1.at : free, second.columns);
    if (!same) free += x2.bytes();
    const int tiles = own_tiles(rows / 16);
    float* scores = reinterpret_cast<float*>(free);
    const Called called{reinterpret_cast<short*>(scores + tiles * 16 * kBatch), &count};
    if (Stream::asks()) {
      ask(stream, tiles, called);
      return;
    }
    depend_wait();
    if (threadIdx.x == 0) {
      x1.ask(first_x, first.columns, batch, stream.held);
      if (!same) x2.ask(second_x, second.columns, batch, stream.held + 1);
    }
    barrier_wait(stream.held, 0);
    if (!same) barrier_wait(stream.held + 1, 0);
    multiply(stream, tiles, called, x1, x2, scores, flags, counts);
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
             (const char* elements, const uint16_t* scales, const f16* x, int columns, int batch,
              const StepState* state, int heads, int kv_heads, int head_size, const float* cosines, const float* sines,
              const int* page_table, int most_pages, f16* keys, f16* values, f16* queries),
             held_qkv_of<kPrecision, kBatch>(elements, scales, x, columns, batch, state, heads, kv_heads, head_size,
                                             cosines, sines, page_table, most_pages, keys, values, queries);)

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
