// Attention of a decode step: one query row a sequence over the paged pool, split over the sequence
// (flash-decoding). For sequence b at position p, query head h and its key/value head j = h / group,
//   out[b][h] = sum_{i <= p} softmax_i(q[b][h] . k[i][j] / sqrt(head_size)) v[i][j],
// in f32 but for the weights, which are rounded to f16 before they meet the values.
//
//   q        f16 [sequences][heads head_size], rotated
//   keys, values, page_table: attention.cuh; the step's own key and value are in their page already
//   or, in place of q, and then the step's own keys and values are rotated and written to their pages here:
//   qkv      f32 [sequences][(heads + 2 kv_heads) head_size], as rope.cu has it, with cosines and sines
//   state    position, slot and active of each sequence
//   out      f16 [sequences][heads head_size]; zeros for inactive sequences
//   counters int [sequences kv_heads], zero; zero again afterwards
//   partials f32 [blocks + sequences kv_heads][group][head_size + 4]
//
// Bytes: 2 kv_heads head_size 2 a position. q, out and partials are small beside them.
//
// Work is a list of units, a unit being one page of one (sequence, key/value head) pair, pair after
// pair. The grid is fixed: what the multiprocessors hold. Block i takes the i-th equal share of the
// list, whatever the lengths, so it ends when the others do; shares are cut in the middle of pairs, and
// the pieces of a pair are *segments*. A pair that lies in one block is written by it. Otherwise each
// block leaves (max, sum, unnormalised out) as record block + pair (unique, since both only grow along
// the list), and the block that finds itself last by the pair's counter adds the records in order:
// which block that is does not change the result.
//
// A block is four warps, and warp w takes rows 16 w to 16 w + 15 of every page: a private ring of
// asynchronous copies, a private running softmax, no barrier until a segment ends. Scores are computed
// transposed, S^T[16 positions x 8 queries] = K q^T, so a group of up to 8 fills the n of m16n8k16 and
// keys and values are both the 16-row operand: head_size / 8 products for 16 positions.
//
// The kernels in front write nothing but q (or qkv) and position p: a step's kernels begin only when the step
// before has ended. So the state, the page table and positions before p are read while they still run, and,
// but for the tiles that hold a position p that others write, the first ones are in flight when q comes.
//
// In flight are 2 tiles of 8 KiB a warp, 128 KiB a multiprocessor at head size 128. AttentionBenchmark on
// an H100, 32 heads, 8 of keys and values, head size 128, to the time of the bytes: 1.01 at 64 sequences
// of 1024 positions, 1.07 at 32, 1.37 at 8, 4.6 at one (7.1 us: latency), 1.51 at one of 8192.
//
// Launch: blocks = a small multiple of the multiprocessors, 128 threads, shared memory for the ring (below).
#include "attention.cuh"
#include "step_state.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kTile = kPagePositions / kWarps;
constexpr int kMaxGroup = 8;

// Counts this block in, and says how many were before it. What the block wrote before the barrier ahead
// of this is visible to who counts later, and theirs to this block.
__device__ __forceinline__ int arrive(int* counter) {
  int before;
  asm volatile("atom.acq_rel.gpu.global.add.s32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
  return before;
}

// A place in the list of units.
struct Cursor {
  int sequence, head, page;
  int pages, length, slot;  // of the sequence
};

template <bool kValue>
struct Constant {
  __device__ constexpr operator bool() const { return kValue; }
};

// Equal shares of `units` for `blocks`: the first `extra` have one more.
struct Shares {
  int each, extra;
  __device__ Shares(int units, int blocks) : each(units / blocks), extra(units % blocks) {}
  __device__ int begin(int block) const { return block * each + min(block, extra); }
  __device__ int owner(int unit) const {
    const int larger = extra * (each + 1);
    return unit < larger ? unit / (each + 1) : extra + (unit - larger) / each;
  }
};

// The step's queries, rotated.
struct Rotated {
  static constexpr bool kRotates = false;
  const f16* q;
};

// What the projection made of x, and the rotation.
struct Unrotated {
  static constexpr bool kRotates = true;
  const float* qkv;
  const float* cosines;  // [context][head_size / 2]
  const float* sines;
};

__device__ __forceinline__ float2 load2(const float* from) { return *reinterpret_cast<const float2*>(from); }
__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

template <int kHeadSize, int kStages, class Input>
__device__ __forceinline__ void attention_decode(const Input& input, f16* keys,
                                                 f16* values, const int* __restrict__ page_table,
                                                 const StepState* __restrict__ state, f16* __restrict__ out,
                                                 int* __restrict__ counters, float* __restrict__ partials,
                                                 int sequences, int heads, int kv_heads, int max_pages,
                                                 float scale /* log2(e) / sqrt(head_size) */) {
  constexpr int kTileElements = kTile * kHeadSize;
  constexpr int kRowChunks = kHeadSize / 8;  // of 16 bytes
  constexpr int kRecord = kHeadSize + 4;
  constexpr int kSteps = kHeadSize / 16;
  static_assert(kMaxGroup * kRecord * 4 <= 2 * kTileElements * 2, "a tile of the ring holds a warp's results");

  extern __shared__ __align__(128) f16 ring[];  // [warp][stage][keys, values][16][kHeadSize]
  __shared__ int starts[kMaxBatch];              // pages of the sequences before
  __shared__ int lengths[kMaxBatch];             // positions; 0 if inactive
  __shared__ int slots[kMaxBatch];
  __shared__ int total_pages;
  __shared__ float maxima[kWarps][kMaxGroup], sums[kWarps][kMaxGroup];
  __shared__ int arrived;

  depend_release();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = heads / kv_heads;

  if (warp == 0) {
    int before = 0;
#pragma unroll
    for (int b = lane; b < kMaxBatch; b += kWarp) {
      const bool active = b < sequences && state->active[b] != 0;
      const int length = active ? state->position[b] + 1 : 0;
      const int pages = divide_up(length, kPagePositions);
      int inclusive = pages;
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int other = __shfl_up_sync(kAllLanes, inclusive, offset);
        if (lane >= offset) inclusive += other;
      }
      starts[b] = before + inclusive - pages;
      lengths[b] = length;
      slots[b] = active ? state->slot[b] : 0;
      before += __shfl_sync(kAllLanes, inclusive, kWarp - 1);
    }
    if (lane == 0) total_pages = before;
  }
  __syncthreads();

  const Shares shares(kv_heads * total_pages, gridDim.x);
  const int begin = shares.begin(blockIdx.x), end = shares.begin(blockIdx.x + 1);

  const auto enter = [&](Cursor& at, int sequence) {
    at.sequence = sequence;
    at.length = lengths[sequence];
    at.pages = divide_up(at.length, kPagePositions);
    at.slot = slots[sequence];
  };
  // Only while there is a next unit.
  const auto advance = [&](Cursor& at) {
    if (++at.page < at.pages) return;
    at.page = 0;
    if (++at.head < kv_heads) return;
    at.head = 0;
    int next = at.sequence + 1;
    while (lengths[next] == 0) next++;
    enter(at, next);
  };
  const auto page_of = [&](const Cursor& at) {
    return page_table[static_cast<size_t>(at.slot) * max_pages + at.page];
  };

  Cursor at{};
  if (begin < end) {
    // The last sequence that begins at or before this share; those of no pages begin where the next does.
    const int before = __popc(__ballot_sync(kAllLanes, starts[lane] * kv_heads <= begin)) +
                       __popc(__ballot_sync(kAllLanes, starts[lane + kWarp] * kv_heads <= begin));
    enter(at, before - 1);
    const int within = begin - starts[at.sequence] * kv_heads;
    at.head = within / at.pages;
    at.page = within % at.pages;
  }

  f16* const my_ring = ring + warp * kStages * 2 * kTileElements;
  const auto tile = [&](int stage) { return my_ring + stage * 2 * kTileElements; };

  // The copies run kStages - 1 units ahead of the products, page numbers one further.
  Cursor ahead = at;
  int ahead_page = begin < end ? page_of(ahead) : 0;
  int requested = begin;
  int fill_stage = 0;
  const auto request_next = [&]() {
    if (requested < end) {
      const int first = ahead.page * kPagePositions + warp * kTile;
      const int rows = ahead.length - first;  // of this warp's 16, those that are positions of the sequence
      const bool own = 0 < rows && rows <= kTile;  // the last of them is the step's own
      if (own && !Input::kRotates) depend_wait();
      const int there = own && Input::kRotates ? rows - 1 : rows;
      const size_t offset =
          ((static_cast<size_t>(ahead_page) * kv_heads + ahead.head) * kPagePositions + warp * kTile) * kHeadSize;
      if (++requested < end) {
        advance(ahead);
        ahead_page = page_of(ahead);
      }
      f16* const to = tile(fill_stage);
      const f16* const from_keys = keys + offset + lane * 8;
      const f16* const from_values = values + offset + lane * 8;
      // Rows past the end become zeros: what lies there may be no number, and 0 x NaN is not 0.
      const auto copy = [&](auto all) {
#pragma unroll
        for (int i = 0; i < kTileElements / 8 / kWarp; i++) {
          const int row = (i * kWarp + lane) / kRowChunks;
          const int place = swizzled<kHeadSize>(row, lane % kRowChunks);
          const bool valid = all || row < there;
          copy_async16_or_zero(to + place, from_keys + i * kWarp * 8, valid);
          copy_async16_or_zero(to + kTileElements + place, from_values + i * kWarp * 8, valid);
        }
      };
      if (there >= kTile) {
        copy(Constant<true>());
      } else if (rows > 0) {
        copy(Constant<false>());
      }
    }
    copy_async_commit();
    fill_stage = fill_stage + 1 == kStages ? 0 : fill_stage + 1;
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; i++) request_next();
  depend_wait();

  for (int b = blockIdx.x; b < sequences; b += gridDim.x) {
    if (lengths[b] == 0) {
      uint4* row = reinterpret_cast<uint4*>(out + static_cast<size_t>(b) * heads * kHeadSize);
      for (int i = threadIdx.x; i < heads * kHeadSize / 8; i += kThreads) row[i] = make_uint4(0, 0, 0, 0);
    }
  }
  if (begin == end) return;

  const int column = lane / 4;  // query of this lane's operand, row of its results
  const int pair_column = 2 * (lane % 4);  // its results' first query
  uint32_t query[kSteps][2];
  float o[kSteps][4];  // out^T: dimensions 16 i + lane / 4 (+ 8), queries pair_column, + 1
  float maximum[2], sum[2];
  int stage = 0;
  int segment_page = at.page;
  bool fresh = true;

  // The step's own key and value, to row `own` of this warp's tile and to their page.
  const auto write_own = [&](const auto& unrotated, const Cursor& of, int own) {
    constexpr int kHalf = kHeadSize / 2, kLanes = kHeadSize / 8;
    const bool is_key = lane < kLanes;
    const int part = is_key ? lane : lane - kWarp / 2;
    if (part < 0 || part >= kLanes) return;
    const int page = page_of(of);
    const size_t row = ((static_cast<size_t>(page) * kv_heads + of.head) * kPagePositions + warp * kTile + own) * kHeadSize;
    const float* from = unrotated.qkv + (static_cast<size_t>(of.sequence) * (heads + 2 * kv_heads) + heads + of.head +
                                         (is_key ? 0 : kv_heads)) * kHeadSize;
    f16* const key_tile = tile(stage);
    if (is_key) {
      const int d = part * 4;
      const size_t angle = static_cast<size_t>(of.length - 1) * kHalf + d;
      float4 low = load4(from + d), high = load4(from + d + kHalf);
      const float4 cosine = load4(unrotated.cosines + angle), sine = load4(unrotated.sines + angle);
      rotate(low.x, high.x, cosine.x, sine.x);
      rotate(low.y, high.y, cosine.y, sine.y);
      rotate(low.z, high.z, cosine.z, sine.z);
      rotate(low.w, high.w, cosine.w, sine.w);
      const uint2 first_half = make_uint2(pack_f16(low.x, low.y), pack_f16(low.z, low.w));
      const uint2 second_half = make_uint2(pack_f16(high.x, high.y), pack_f16(high.z, high.w));
      *reinterpret_cast<uint2*>(key_tile + swizzled<kHeadSize>(own, d / 8) + d % 8) = first_half;
      *reinterpret_cast<uint2*>(key_tile + swizzled<kHeadSize>(own, (d + kHalf) / 8) + d % 8) = second_half;
      if (page < 0) return;  // not reserved: better lost than written into a neighbour
      *reinterpret_cast<uint2*>(keys + row + d) = first_half;
      *reinterpret_cast<uint2*>(keys + row + d + kHalf) = second_half;
    } else {
      const int d = part * 8;
      const float4 a = load4(from + d), b = load4(from + d + 4);
      const uint4 eight = make_uint4(pack_f16(a.x, a.y), pack_f16(a.z, a.w), pack_f16(b.x, b.y), pack_f16(b.z, b.w));
      *reinterpret_cast<uint4*>(key_tile + kTileElements + swizzled<kHeadSize>(own, d / 8)) = eight;
      if (page >= 0) *reinterpret_cast<uint4*>(values + row + d) = eight;
    }
  };

  for (int unit = begin; unit < end; unit++) {
    if (fresh) {
      fresh = false;
      segment_page = at.page;
      const int head = at.head * group + min(column, group - 1);
      if constexpr (Input::kRotates) {
        constexpr int kHalf = kHeadSize / 2;
        const float* row = input.qkv + (static_cast<size_t>(at.sequence) * (heads + 2 * kv_heads) + head) * kHeadSize;
        const size_t angles = static_cast<size_t>(at.length - 1) * kHalf;
#pragma unroll
        for (int i = 0; i < kSteps / 2; i++)
#pragma unroll
          for (int w = 0; w < 2; w++) {
            const int d = i * 16 + w * 8 + pair_column;
            float2 low = load2(row + d), high = load2(row + d + kHalf);
            const float2 cosine = load2(input.cosines + angles + d), sine = load2(input.sines + angles + d);
            rotate(low.x, high.x, cosine.x, sine.x);
            rotate(low.y, high.y, cosine.y, sine.y);
            query[i][w] = column < group ? pack_f16(low.x, low.y) : 0;
            query[i + kSteps / 2][w] = column < group ? pack_f16(high.x, high.y) : 0;
          }
      } else {
        const f16* row = input.q + (static_cast<size_t>(at.sequence) * heads + head) * kHeadSize;
#pragma unroll
        for (int i = 0; i < kSteps; i++) {
          const uint32_t* words = reinterpret_cast<const uint32_t*>(row + i * 16 + pair_column);
          query[i][0] = column < group ? words[0] : 0;
          query[i][1] = column < group ? words[4] : 0;
        }
      }
#pragma unroll
      for (int i = 0; i < kSteps; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) o[i][j] = 0;
      maximum[0] = maximum[1] = -INFINITY;
      sum[0] = sum[1] = 0;
    }

    copy_async_wait<kStages - 2>();
    __syncwarp();  // this unit's tile is here; every lane is through with the one before
    request_next();

    const int first = at.page * kPagePositions + warp * kTile;
    if constexpr (Input::kRotates) {
      const int own = at.length - 1 - first;
      if (0 <= own && own < kTile) {
        write_own(input, at, own);
        __syncwarp();
      }
    }
    if (first < at.length) {
      const f16* key_tile = tile(stage);
      const f16* value_tile = key_tile + kTileElements;

      // Two chains of sums, so that a product need not wait for the one before.
      float even[4] = {0, 0, 0, 0}, odd[4] = {0, 0, 0, 0};
#pragma unroll
      for (int i = 0; i < kSteps; i++) {
        uint32_t a[4];
        load_matrix4(a, key_tile + swizzled<kHeadSize>(lane & 15, 2 * i + (lane >> 4)));
        multiply_16x8x16(i % 2 == 0 ? even : odd, a, query[i]);
      }

      const bool here[2] = {first + column < at.length, first + column + 8 < at.length};
      float p[4];
#pragma unroll
      for (int j = 0; j < 4; j++) p[j] = here[j / 2] ? (even[j] + odd[j]) * scale : -INFINITY;

      float rescale[2];
#pragma unroll
      for (int j = 0; j < 2; j++) {
        float m = fmaxf(p[j], p[j + 2]);
#pragma unroll
        for (int offset = 4; offset < kWarp; offset *= 2) m = fmaxf(m, __shfl_xor_sync(kAllLanes, m, offset));
        m = fmaxf(m, maximum[j]);  // finite: the tile's first row is a position
        rescale[j] = exp2_approximate(maximum[j] - m);
        maximum[j] = m;
        p[j] = exp2_approximate(p[j] - m);
        p[j + 2] = exp2_approximate(p[j + 2] - m);
        sum[j] = sum[j] * rescale[j] + p[j] + p[j + 2];
      }
      if (__any_sync(kAllLanes, rescale[0] != 1.0f || rescale[1] != 1.0f)) {
#pragma unroll
        for (int i = 0; i < kSteps; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) o[i][j] *= rescale[j % 2];
        }
      }

      // Results have positions along lane / 4, the operand wants them along lane % 4.
      uint32_t weights[2];
#pragma unroll
      for (int j = 0; j < 2; j++) {
        asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;"
                     : "=r"(weights[j])
                     : "r"(pack_f16(p[2 * j], p[2 * j + 1])));
      }
#pragma unroll
      for (int i = 0; i < kSteps; i++) {
        uint32_t a[4];
        load_matrix4_transposed(
            a, value_tile + swizzled<kHeadSize>((lane & 7) + ((lane >> 4) << 3), 2 * i + ((lane >> 3) & 1)));
        multiply_16x8x16(o[i], a, weights);
      }
    }

    const bool pair_ends = at.page + 1 == at.pages;
    if (pair_ends || unit + 1 == end) {
      // The tile just used is not filled again before the next __syncthreads: results go there.
      __syncwarp();
      float* mine = reinterpret_cast<float*>(tile(stage));
#pragma unroll
      for (int j = 0; j < 2; j++) {
        float s = sum[j];
#pragma unroll
        for (int offset = 4; offset < kWarp; offset *= 2) s += __shfl_xor_sync(kAllLanes, s, offset);
        const int head = pair_column + j;
        if (head < group) {
          if (column == 0) {
            maxima[warp][head] = maximum[j];
            sums[warp][head] = s;
          }
#pragma unroll
          for (int i = 0; i < kSteps; i++) {
            mine[head * kRecord + i * 16 + column] = o[i][j];
            mine[head * kRecord + i * 16 + column + 8] = o[i][j + 2];
          }
        }
      }
      __syncthreads();

      const int pair = at.sequence * kv_heads + at.head;
      const int pair_begin = starts[at.sequence] * kv_heads + at.head * at.pages;
      const int first_block = shares.owner(pair_begin), last_block = shares.owner(pair_begin + at.pages - 1);
      const bool whole = first_block == last_block;
      f16* const out_rows = out + (static_cast<size_t>(at.sequence) * heads + at.head * group) * kHeadSize;
      float* const record = partials + static_cast<size_t>(blockIdx.x + pair) * group * kRecord;

      const auto write_out = [&](int head, int dimension, const float4& v, float total) {
        const float inverse = __fdividef(1.0f, total);
        *reinterpret_cast<uint2*>(out_rows + head * kHeadSize + dimension) =
            make_uint2(pack_f16(v.x * inverse, v.y * inverse), pack_f16(v.z * inverse, v.w * inverse));
      };
      const auto add = [](float4& to, const float4& v, float weight) {
        to.x += v.x * weight, to.y += v.y * weight, to.z += v.z * weight, to.w += v.w * weight;
      };

      for (int i = threadIdx.x; i < group * (kHeadSize / 4); i += kThreads) {
        const int head = i / (kHeadSize / 4), dimension = i % (kHeadSize / 4) * 4;
        float m = maxima[0][head];
#pragma unroll
        for (int w = 1; w < kWarps; w++) m = fmaxf(m, maxima[w][head]);
        float total = 0;
        float4 v = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int w = 0; w < kWarps; w++) {
          const float weight = exp2_approximate(maxima[w][head] - m);
          const float* theirs = reinterpret_cast<const float*>(ring + (w * kStages + stage) * 2 * kTileElements);
          total += sums[w][head] * weight;
          add(v, *reinterpret_cast<const float4*>(theirs + head * kRecord + dimension), weight);
        }
        if (whole) {
          write_out(head, dimension, v, total);
        } else {
          *reinterpret_cast<float4*>(record + head * kRecord + dimension) = v;
          if (dimension == 0) *reinterpret_cast<float2*>(record + head * kRecord + kHeadSize) = make_float2(m, total);
        }
      }

      if (!whole) {
        __syncthreads();
        if (threadIdx.x == 0) arrived = arrive(&counters[pair]);
        __syncthreads();
        if (arrived == last_block - first_block) {
          if (threadIdx.x == 0) counters[pair] = 0;
          const int records = last_block - first_block + 1;
          const float* const first_record = partials + static_cast<size_t>(first_block + pair) * group * kRecord;
          for (int i = threadIdx.x; i < group * (kHeadSize / 4); i += kThreads) {
            const int head = i / (kHeadSize / 4), dimension = i % (kHeadSize / 4) * 4;
            float m = -INFINITY, total = 0;
            float4 v = make_float4(0, 0, 0, 0);
            constexpr int kAtOnce = 8;
            for (int r = 0; r < records; r += kAtOnce) {
              float2 ms[kAtOnce];
              float4 vs[kAtOnce];
              float larger = m;
#pragma unroll
              for (int k = 0; k < kAtOnce; k++) {
                const float* from = first_record + (min(r + k, records - 1) * group + head) * kRecord;
                ms[k] = __ldcg(reinterpret_cast<const float2*>(from + kHeadSize));
                vs[k] = __ldcg(reinterpret_cast<const float4*>(from + dimension));
              }
#pragma unroll
              for (int k = 0; k < kAtOnce; k++) larger = fmaxf(larger, ms[k].x);
              const float old = exp2_approximate(m - larger);
              m = larger;
              total *= old;
              v.x *= old, v.y *= old, v.z *= old, v.w *= old;
#pragma unroll
              for (int k = 0; k < kAtOnce; k++) {
                const float weight = r + k < records ? exp2_approximate(ms[k].x - m) : 0;
                total += ms[k].y * weight;
                add(v, vs[k], weight);
              }
            }
            write_out(head, dimension, v, total);
          }
        }
      }
      __syncthreads();  // results and maxima are read
      fresh = true;
    }
    if (unit + 1 < end) advance(at);
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }
  copy_async_wait<0>();
}

}  // namespace

#define ATTENTION_DECODE(HEAD_SIZE, STAGES)                                                                            \
  extern "C" __global__ void __launch_bounds__(kThreads, 2) attention_decode_##HEAD_SIZE(                              \
      const f16* q, f16* keys, f16* values, const int* page_table, const StepState* state, f16* out,                   \
      int* counters, float* partials, int sequences, int heads, int kv_heads, int max_pages, float scale) {            \
    attention_decode<HEAD_SIZE, STAGES>(Rotated{q}, keys, values, page_table, state, out, counters, partials,           \
                                        sequences, heads, kv_heads, max_pages, scale);                                 \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(kThreads, 2) attention_decode_rotating_##HEAD_SIZE(                     \
      const float* qkv, const float* cosines, const float* sines, f16* keys, f16* values, const int* page_table,       \
      const StepState* state, f16* out, int* counters, float* partials, int sequences, int heads, int kv_heads,        \
      int max_pages, float scale) {                                                                                    \
    attention_decode<HEAD_SIZE, STAGES>(Unrotated{qkv, cosines, sines}, keys, values, page_table, state, out, counters, \
                                        partials, sequences, heads, kv_heads, max_pages, scale);                       \
  }

// Ring: 4 warps x stages x 2 x 16 x head size x 2 bytes, 64 and 96 KiB.
ATTENTION_DECODE(64, 4)
ATTENTION_DECODE(128, 3)
