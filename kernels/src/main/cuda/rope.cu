// Rotary position embedding and the write into the paged pool of keys and values, of a prefill pass. A decode
// step does it in the projection (epilogues.cuh) or in attention (attention_decode.cu).
//
// A row of qkv holds heads queries, kv_heads keys, kv_heads values of head_size each. With
// half = head_size / 2 and c, s = cos, sin of the row's position, element i < half of a query or key
// head becomes x[i] c[i] - x[i + half] s[i], and x[i + half] becomes x[i + half] c[i] + x[i] s[i].
// Queries go to q, keys and values to their page (attention.cuh has the layout).
//
//   qkv        f16 [n][(heads + 2 kv_heads) head_size]
//   positions  int [n]; slots int [n]
//   cosines    f32 [context][half]; sines likewise
//   q          f16 [n][heads head_size]
// A row with a negative slot writes nothing. head_size % 16 == 0.
//
// Bytes: what is in qkv is read once and written once as f16; cosines and sines come from L2.
// A thread takes 8 elements of the first half of a head and their partners of the second half: two
// 16-byte loads of them, two 16-byte stores.
//
// Launch: ceil(n (heads + 2 kv_heads) head_size / 16 / 256) blocks of 256 threads.
#include "attention.cuh"

struct RopeShape {
  int heads, kv_heads, head_size, max_pages;
};

__device__ __forceinline__ void load8(const float* from, float (&x)[8]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
  x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w;
  x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}

__device__ __forceinline__ void load8(const f16* from, float (&x)[8]) {
  const uint4 a = *reinterpret_cast<const uint4*>(from);
  x[0] = low_f16(a.x), x[1] = high_f16(a.x), x[2] = low_f16(a.y), x[3] = high_f16(a.y);
  x[4] = low_f16(a.z), x[5] = high_f16(a.z), x[6] = low_f16(a.w), x[7] = high_f16(a.w);
}

__device__ __forceinline__ void store8(f16* to, const float (&x)[8]) {
  *reinterpret_cast<uint4*>(to) =
      make_uint4(pack_f16(x[0], x[1]), pack_f16(x[2], x[3]), pack_f16(x[4], x[5]), pack_f16(x[6], x[7]));
}

// One thread's 16 elements, of row `row`, which lies at `position` of `slot`.
__device__ __forceinline__ void rope_write_item(const f16* __restrict__ qkv, int row, int head, int part,
                                                int position, int slot, const float* __restrict__ cosines,
                                                const float* __restrict__ sines, const int* __restrict__ page_table,
                                                f16* __restrict__ q, f16* __restrict__ keys,
                                                f16* __restrict__ values, const RopeShape& shape) {
  const int half = shape.head_size / 2;
  const int all_heads = shape.heads + 2 * shape.kv_heads;
  const f16* from = qkv + (static_cast<size_t>(row) * all_heads + head) * shape.head_size + part * 8;
  float low[8], high[8];
  load8(from, low);
  load8(from + half, high);

  if (head < shape.heads + shape.kv_heads) {
    float c[8], s[8];
    load8(cosines + static_cast<size_t>(position) * half + part * 8, c);
    load8(sines + static_cast<size_t>(position) * half + part * 8, s);
#pragma unroll
    for (int i = 0; i < 8; i++) rotate(low[i], high[i], c[i], s[i]);
  }

  f16* to;
  if (head < shape.heads) {
    to = q + (static_cast<size_t>(row) * shape.heads + head) * shape.head_size;
  } else {
    const int page = page_table[static_cast<size_t>(slot) * shape.max_pages + position / kPagePositions];
    if (page < 0) return;  // not reserved: better lost than written into a neighbour
    const bool key = head < shape.heads + shape.kv_heads;
    const int kv_head = head - shape.heads - (key ? 0 : shape.kv_heads);
    to = (key ? keys : values) +
         ((static_cast<size_t>(page) * shape.kv_heads + kv_head) * kPagePositions + position % kPagePositions) *
             shape.head_size;
  }
  store8(to + part * 8, low);
  store8(to + half + part * 8, high);
}

extern "C" __global__ void __launch_bounds__(256)
    rope_write(const f16* __restrict__ qkv, const int* __restrict__ positions, const int* __restrict__ slots,
               const float* __restrict__ cosines, const float* __restrict__ sines, const int* __restrict__ page_table,
               f16* __restrict__ q, f16* __restrict__ keys, f16* __restrict__ values, int rows, int heads, int kv_heads,
               int head_size, int max_pages) {
  depend_release();
  depend_wait();
  const int parts = head_size / 16;
  const int row_items = (heads + 2 * kv_heads) * parts;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = item / row_items, within = item % row_items;
  if (row >= rows || slots[row] < 0) return;
  rope_write_item(qkv, row, within / parts, within % parts, positions[row], slots[row], cosines, sines, page_table, q,
                  keys, values, RopeShape{heads, kv_heads, head_size, max_pages});
}
