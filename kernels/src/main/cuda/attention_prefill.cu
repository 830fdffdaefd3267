// Causal attention of prompts, many of them packed into one batch of query rows (FlashAttention-2,
// arXiv 2307.08691). The query at position p of its sequence and head h, with j = h / group:
//   out[row][h] = sum_{i <= p} softmax_i(q[row][h] . k[i][j] / sqrt(head_size)) v[i][j],
// f32 but for the weights, which are rounded to f16 before they meet the values. Keys and values come
// from the paged pool (attention.cuh), where they were written before, this batch's own included: a
// prompt that continues where an earlier batch ended needs nothing else.
//
//   q      f16 [rows][heads head_size], rotated
//   tiles  int4 [n]: slot, first row in q, its position, queries (1 to kRows / group); the host's work
//          list. Consecutive rows have consecutive positions.
//   out    f16 [rows][heads head_size]; rows of no tile are left alone
//
// A block computes one tile for one key/value head: its kRows rows are `queries` queries x the `group`
// query heads that share the keys (row r is query r / group, head r % group). So a page is read once for
// the whole group, a short prompt fills its tile, and the part of the causal triangle that is computed
// and masked is at most 64 / queries of a page a query. Group sizes that do not divide kRows leave the
// last rows idle.
//
// A key tile is a page: 64 positions. Four warps own 16 or 32 rows each; scores, weights and sums stay
// in registers, maxima and sums of a row lie in 4 lanes. Values of a page arrive while its scores are
// computed, keys of the next page while the values are used; two blocks a multiprocessor fill the waits.
//
// Operations: 4 head_size for each query head, query and position <= its own. Shared memory read for a
// page, head size 128, 32 rows a warp: 8 (queries) + 16 + 16 KiB for 2 32 64 128 multiply-adds, so 128
// bytes a cycle would feed 1680 of them a cycle; mma.sync gives about 1300 on a Hopper multiprocessor.
// Exponentials: 64 a row and page, 16 a cycle: a third of the products' time, in the other block's shade.
//
// Launch: kv_heads x tiles blocks, 128 threads, shared (kRows + 128) head_size 2
// bytes. Longest tiles first.
#include "attention.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

// Four 8 x 8 matrices by shared addresses, with the chunk's number added by exclusive or (swizzled()
// does the same, tiles being aligned to their rows). Opaque, so that the compiler computes each address
// where it is used: hoisted out of the loop they would be 24 registers too many.
template <bool kTransposed>
__device__ __forceinline__ void load_fragment(uint32_t (&r)[4], uint32_t base, int chunk, int offset) {
  uint32_t address;
  asm volatile("xor.b32 %0, %1, %2;" : "=r"(address) : "r"(base), "r"(chunk << 4));
  address += offset;
  if (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
  }
}

// kSlabs: slabs of 16 rows a warp owns.
template <int kHeadSize, int kSlabs>
__device__ __forceinline__ void attention_prefill(const f16* __restrict__ q, const f16* __restrict__ keys,
                                                  const f16* __restrict__ values,
                                                  const int* __restrict__ page_table, const int4* __restrict__ tiles,
                                                  f16* __restrict__ out, int heads, int kv_heads, int max_pages,
                                                  float scale /* log2(e) / sqrt(head_size) */) {
  constexpr int kRows = kWarps * kSlabs * 16;
  constexpr int kChunks = kHeadSize / 8;             // of 16 bytes, a row
  constexpr int kRowsAtOnce = kThreads / kChunks;    // copied by one instruction of every thread
  constexpr int kSteps = kHeadSize / 16;
  constexpr int kKeySteps = kPagePositions / 16;

  extern __shared__ __align__(256) f16 shared[];
  f16* const query_tile = shared;  // [kRows][kHeadSize], later the results
  f16* const key_tile = query_tile + kRows * kHeadSize;  // [64][kHeadSize]
  f16* const value_tile = key_tile + kPagePositions * kHeadSize;

  depend_release();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = heads / kv_heads;
  const int kv_head = blockIdx.x;
  depend_wait();

  const int4 tile = tiles[blockIdx.y];
  const int first_row = tile.y, first_position = tile.z, queries = tile.w;
  const int* const pages = page_table + static_cast<size_t>(tile.x) * max_pages;
  const int last_position = first_position + queries - 1;
  const int page_count = last_position / kPagePositions + 1;

  const int copy_row = threadIdx.x / kChunks, copy_chunk = threadIdx.x % kChunks;
  const auto copy_page = [&](f16* to, const f16* from, int page, int index) {
    const f16* rows = from + (static_cast<size_t>(page) * kv_heads + kv_head) * (kPagePositions * kHeadSize);
    const int there = last_position + 1 - index * kPagePositions;
#pragma unroll
    for (int i = 0; i < kPagePositions / kRowsAtOnce; i++) {
      const int row = i * kRowsAtOnce + copy_row;
      // Positions not written yet become zeros: what lies there may be no number, and 0 x NaN is not 0.
      copy_async16_or_zero(to + swizzled<kHeadSize>(row, copy_chunk), rows + row * kHeadSize + copy_chunk * 8,
                           row < there);
    }
  };

  int page = pages[0];
#pragma unroll 4
  for (int row = copy_row; row < kRows; row += kRowsAtOnce) {
    const int query = row / group, head = kv_head * group + row % group;
    const bool there = query < queries;
    const size_t from = (static_cast<size_t>(first_row + (there ? query : 0)) * heads + head) * kHeadSize;
    copy_async16_or_zero(query_tile + swizzled<kHeadSize>(row, copy_chunk), q + from + copy_chunk * 8, there);
  }
  copy_page(key_tile, keys, page, 0);
  copy_async_commit();

  const int warp_row = warp * kSlabs * 16;
  const int result_row = lane / 4, result_column = 2 * (lane % 4);
  float maximum[kSlabs][2], sum[kSlabs][2];
  float o[kSlabs][kHeadSize / 8][4];
#pragma unroll
  for (int m = 0; m < kSlabs; m++) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      maximum[m][r] = -INFINITY;
      sum[m][r] = 0;
    }
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; n++) {
#pragma unroll
      for (int j = 0; j < 4; j++) o[m][n][j] = 0;
    }
  }

  // Of the operands' 8 x 8 matrices: the row this lane points at, and which of two chunks.
  const uint32_t query_rows =
      shared_address(query_tile + swizzled<kHeadSize>(warp_row + (lane & 15), lane >> 4));
  const uint32_t key_rows =
      shared_address(key_tile + swizzled<kHeadSize>((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1));
  const uint32_t value_rows = shared_address(value_tile + swizzled<kHeadSize>(lane & 15, lane >> 4));
  constexpr int kSlabBytes = 16 * kHeadSize * 2;

  int index = 0;
  do {
    copy_async_wait<0>();
    __syncthreads();  // keys are here; every warp is through with the values before
    copy_page(value_tile, values, page, index);
    copy_async_commit();
    if (index + 1 < page_count) page = pages[index + 1];

    float s[kSlabs][2 * kKeySteps][4];
#pragma unroll
    for (int m = 0; m < kSlabs; m++) {
#pragma unroll
      for (int n = 0; n < 2 * kKeySteps; n++) {
#pragma unroll
        for (int j = 0; j < 4; j++) s[m][n][j] = 0;
      }
    }
#pragma unroll
    for (int k = 0; k < kSteps; k++) {
      uint32_t a[kSlabs][4];
#pragma unroll
      for (int m = 0; m < kSlabs; m++) {
        load_fragment<false>(a[m], query_rows, 2 * k, m * kSlabBytes);
      }
#pragma unroll
      for (int n = 0; n < kKeySteps; n++) {
        uint32_t b[4];
        load_fragment<false>(b, key_rows, 2 * k, n * kSlabBytes);
        const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < kSlabs; m++) {
          multiply_16x8x16(s[m][2 * n], a[m], low);
          multiply_16x8x16(s[m][2 * n + 1], a[m], high);
        }
      }
    }

    if ((index + 1) * kPagePositions - 1 > last_position + 1 - queries) {  // some query may not see all of the page
#pragma unroll
      for (int m = 0; m < kSlabs; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
          // The last of this lane's columns that the row sees; idle rows see what the last query does.
          const int query = min((warp_row + m * 16 + r * 8 + result_row) / group, queries - 1);
          const int last = last_position + 1 - queries + query - index * kPagePositions - result_column;
#pragma unroll
          for (int n = 0; n < 2 * kKeySteps; n++) {
            if (n * 8 > last) s[m][n][2 * r] = -INFINITY;
            if (n * 8 + 1 > last) s[m][n][2 * r + 1] = -INFINITY;
          }
        }
      }
    }

    // Every row sees position 0, so after the first page its maximum is finite.
    uint32_t weights[kSlabs][kKeySteps][4];
#pragma unroll
    for (int m = 0; m < kSlabs; m++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float larger = maximum[m][r];
#pragma unroll
        for (int n = 0; n < 2 * kKeySteps; n++) larger = fmaxf(larger, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
        larger = fmaxf(larger, __shfl_xor_sync(kAllLanes, larger, 1));
        larger = fmaxf(larger, __shfl_xor_sync(kAllLanes, larger, 2));
        const float rescale = exp2_approximate((maximum[m][r] - larger) * scale);
        maximum[m][r] = larger;
        const float shift = larger * scale;
        float total = 0;
#pragma unroll
        for (int n = 0; n < 2 * kKeySteps; n++) {
          const float p0 = exp2_approximate(fmaf(s[m][n][2 * r], scale, -shift));
          const float p1 = exp2_approximate(fmaf(s[m][n][2 * r + 1], scale, -shift));
          total += p0 + p1;
          weights[m][n / 2][r + 2 * (n & 1)] = pack_f16(p0, p1);
        }
        sum[m][r] = fmaf(sum[m][r], rescale, total);
#pragma unroll
        for (int n = 0; n < kHeadSize / 8; n++) {
          o[m][n][2 * r] *= rescale;
          o[m][n][2 * r + 1] *= rescale;
        }
      }
    }

    copy_async_wait<0>();
    __syncthreads();  // values are here; every warp is through with the keys
    if (index + 1 < page_count) copy_page(key_tile, keys, page, index + 1);
    copy_async_commit();

#pragma unroll
    for (int k = 0; k < kKeySteps; k++) {
#pragma unroll
      for (int n = 0; n < kSteps; n++) {
        uint32_t b[4];
        load_fragment<true>(b, value_rows, 2 * n, k * kSlabBytes);
        const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < kSlabs; m++) {
          multiply_16x8x16(o[m][2 * n], weights[m][k], low);
          multiply_16x8x16(o[m][2 * n + 1], weights[m][k], high);
        }
      }
    }
  } while (++index < page_count);
  copy_async_wait<0>();

  // Through shared memory, so that rows leave in whole 16-byte chunks. A warp reads only its own rows.
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kSlabs; m++) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float total = sum[m][r];
      total += __shfl_xor_sync(kAllLanes, total, 1);
      total += __shfl_xor_sync(kAllLanes, total, 2);
      const float inverse = __fdividef(1.0f, total);
      const int row = warp_row + m * 16 + r * 8 + result_row;
#pragma unroll
      for (int n = 0; n < kHeadSize / 8; n++) {
        *reinterpret_cast<uint32_t*>(query_tile + swizzled<kHeadSize>(row, n) + result_column) =
            pack_f16(o[m][n][2 * r] * inverse, o[m][n][2 * r + 1] * inverse);
      }
    }
  }
  __syncwarp();
  const int result_first_row = __ldcg(&tiles[blockIdx.y].y);  // again: no register holds it in the loop
#pragma unroll 4
  for (int i = lane; i < kSlabs * 16 * kChunks; i += kWarp) {
    const int row = warp_row + i / kChunks, chunk = i % kChunks;
    const int query = row / group, head = kv_head * group + row % group;
    if (query < queries) {
      f16* to = out + (static_cast<size_t>(result_first_row + query) * heads + head) * kHeadSize;
      *reinterpret_cast<uint4*>(to + chunk * 8) =
          *reinterpret_cast<const uint4*>(query_tile + swizzled<kHeadSize>(row, chunk));
    }
  }
}

}  // namespace

#define ATTENTION_PREFILL(HEAD_SIZE, ROWS)                                                                             \
  extern "C" __global__ void __launch_bounds__(kThreads, 2) attention_prefill_##HEAD_SIZE##_##ROWS(                    \
      const f16* q, const f16* keys, const f16* values, const int* page_table, const int4* tiles, f16* out,        \
      int heads, int kv_heads, int max_pages, float scale) {                                                           \
    attention_prefill<HEAD_SIZE, ROWS / (16 * kWarps)>(q, keys, values, page_table, tiles, out, heads, kv_heads,       \
                                                       max_pages, scale);                                              \
  }

ATTENTION_PREFILL(64, 64)
ATTENTION_PREFILL(64, 128)
ATTENTION_PREFILL(128, 64)
ATTENTION_PREFILL(128, 128)
