// Dense products of a decode step outside the feed-forward:
//
//   project   y[split, b, r] = W[r] . x[b] over the split's columns: the output projection, whose
//             splits the norm that follows adds up, and the head, unsplit, whose y are the logits
//   hidden    the same, splits added up, as f16 [batch x rows]: a predictor's first factor
//   qkv       query, key and value of a token at once, rotated (rotary embedding, halves i and
//             i + headSize / 2 form a pair); keys and values go to the sequence's page, queries to
//             f16 [batch x heads * headSize]
//
// Shapes: x f16 [batch x columns], weights [rows x columns] as weights.cuh has them. Bytes: the
// weights once.

#include "decode_kernels.cuh"
#include "row_tile.cuh"
#include "step_state.cuh"

extern __shared__ __align__(128) char shared[];

namespace {

struct Share {
  int first, count;
  __device__ Share(int total, int split, int splits) {
    const int each = divide_up(total, splits);
    first = min(split * each, total);
    count = min(each, total - first);
  }
};

template <Precision kPrecision, int kBatch>
__device__ void project_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                           int batch, float* y) {
  using Tile = RowTile<kPrecision, kBatch>;
  depend_release();
  const int first = blockIdx.x * Tile::kRows;
  const Share share(divide_up(columns, Tile::kColumns), blockIdx.y, gridDim.y);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return min(first + r, rows - 1); }, [] { depend_wait(); });
  const float* out = product.store();
  y += static_cast<size_t>(blockIdx.y) * batch * rows;
  for (int i = threadIdx.x; i < Tile::kRows * batch; i += blockDim.x) {
    const int r = i % Tile::kRows, b = i / Tile::kRows;
    if (first + r < rows) y[static_cast<size_t>(b) * rows + first + r] = out[r * Tile::kOutStride + b];
  }
}

template <Precision kPrecision, int kBatch>
__device__ void hidden_of(const void* elements, const uint16_t* scales, const f16* x, int rows, int columns,
                          int batch, float* partial, int* arrivals, f16* y) {
  using Tile = RowTile<kPrecision, kBatch>;
  depend_release();
  const int first = blockIdx.x * Tile::kRows;
  const Share share(divide_up(columns, Tile::kColumns), blockIdx.y, gridDim.y);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return min(first + r, rows - 1); }, [] { depend_wait(); });
  if (!product.combine(partial, arrivals, blockIdx.x, blockIdx.y, gridDim.y)) return;
  const float* out = product.store();
  for (int i = threadIdx.x; i < Tile::kRows * batch; i += blockDim.x) {
    const int r = i % Tile::kRows, b = i / Tile::kRows;
    if (first + r < rows) y[static_cast<size_t>(b) * rows + first + r] = to_f16(out[r * Tile::kOutStride + b]);
  }
}

constexpr int kPagePositions = 64;

// A block has both halves of its pairs: tile row r < kRows / 2 is dimension p + r of a head, tile row
// kRows / 2 + r its partner headSize / 2 further on. Head size is a multiple of kRows, or kRows of it.
template <Precision kPrecision, int kBatch>
__device__ void qkv_of(const void* elements, const uint16_t* scales, const f16* x, int columns, int batch,
                       float* partial, int* arrivals, const StepState* state, int heads, int kv_heads, int head_size,
                       const float* cosines, const float* sines, const int* page_table, int most_pages, f16* keys,
                       f16* values, f16* queries) {
  using Tile = RowTile<kPrecision, kBatch>;
  constexpr int kPairs = Tile::kRows / 2;
  depend_release();
  const int half = head_size / 2, rows = (heads + 2 * kv_heads) * head_size;
  const int first_pair = blockIdx.x * kPairs;  // counts pairs over all heads
  // pair p of the whole matrix: head p / half, dimensions p % half and p % half + half
  const auto row_of = [&](int r) {
    const int pair = first_pair + r % kPairs;
    return min(pair / half * head_size + pair % half + r / kPairs * half, rows - 1);
  };
  const Share share(divide_up(columns, Tile::kColumns), blockIdx.y, gridDim.y);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run(row_of, [] { depend_wait(); });
  if (!product.combine(partial, arrivals, blockIdx.x, blockIdx.y, gridDim.y)) return;
  const float* out = product.store();
  for (int i = threadIdx.x; i < kPairs * batch; i += blockDim.x) {
    const int r = i % kPairs, b = i / kPairs;
    const int pair = first_pair + r, head = pair / half, dimension = pair % half;
    if (head >= heads + 2 * kv_heads || !state->active[b]) continue;
    float low = out[r * Tile::kOutStride + b], high = out[(r + kPairs) * Tile::kOutStride + b];
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
  }
}

}  // namespace

// grid (tiles of RowTile::kRows rows, splits of the columns)
DECODE_KERNELS(project, 128, project_of,
               (const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch, float* y),
               (elements, scales, x, rows, columns, batch, y))

DECODE_KERNELS_OF(hidden, f16, Precision::kF16, 128, hidden_of,
                  (const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch,
                   float* partial, int* arrivals, f16* y),
                  (elements, scales, x, rows, columns, batch, partial, arrivals, y))

DECODE_KERNELS(qkv, 128, qkv_of,
               (const void* elements, const uint16_t* scales, const f16* x, int columns, int batch, float* partial,
                int* arrivals, const StepState* state, int heads, int kv_heads, int head_size, const float* cosines,
                const float* sines, const int* page_table, int most_pages, f16* keys, f16* values, f16* queries),
               (elements, scales, x, columns, batch, partial, arrivals, state, heads, kv_heads, head_size, cosines,
                sines, page_table, most_pages, keys, values, queries))
