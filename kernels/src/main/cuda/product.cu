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
#include "epilogues.cuh"
#include "row_tile.cuh"

extern __shared__ __align__(128) char shared[];

namespace {

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

// A block has both halves of its pairs: tile row r < kRows / 2 is dimension p + r of a head, tile row
// kRows / 2 + r its partner headSize / 2 further on. Head size is a multiple of kRows, or kRows of it.
template <Precision kPrecision, int kBatch>
__device__ void qkv_of(const void* elements, const uint16_t* scales, const f16* x, int columns, int batch,
                       float* partial, int* arrivals, const Heads& heads) {
  using Tile = RowTile<kPrecision, kBatch>;
  constexpr int kPairs = Tile::kRows / 2;
  depend_release();
  const int first_pair = blockIdx.x * kPairs, pairs = heads.pairs();
  const Share share(divide_up(columns, Tile::kColumns), blockIdx.y, gridDim.y);
  Tile product(shared, elements, scales, x, columns, batch, share.first, share.count);
  product.run([&](int r) { return heads.row(min(first_pair + r % kPairs, pairs - 1), r / kPairs); }, [] { depend_wait(); });
  if (!product.combine(partial, arrivals, blockIdx.x, blockIdx.y, gridDim.y)) return;
  const float* out = product.store();
  for (int i = threadIdx.x; i < kPairs * batch; i += blockDim.x) {
    const int r = i % kPairs, b = i / kPairs;
    if (first_pair + r >= pairs) continue;
    heads.store(first_pair + r, b, out[r * Tile::kOutStride + b], out[(r + kPairs) * Tile::kOutStride + b]);
  }
}

}  // namespace

// grid (tiles of RowTile::kRows rows, splits of the columns)
DECODE_KERNELS(project, 128, project_of,
               (const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch, float* y),
               (elements, scales, x, rows, columns, batch, y))

DECODE_KERNELS(hidden, 128, hidden_of,
               (const void* elements, const uint16_t* scales, const f16* x, int rows, int columns, int batch,
                float* partial, int* arrivals, f16* y),
               (elements, scales, x, rows, columns, batch, partial, arrivals, y))

DECODE_KERNELS(qkv, 128, qkv_of,
               (const void* elements, const uint16_t* scales, const f16* x, int columns, int batch, float* partial,
                int* arrivals, HEADS_PARAMETERS),
               (elements, scales, x, columns, batch, partial, arrivals, HEADS))
