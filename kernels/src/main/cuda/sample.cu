// The end of a decode step: logits f32 [rows x vocabulary] to one token a row, then the step's state.
// Row b is sequence b of StepState; rows of ended sequences are skipped.
//
// Greedy takes the lowest of the tokens with the largest logit. Otherwise a token weighs
//   w = (float) exp((logit - largest) / temperature)        (subtraction in f32, the rest in f64)
// and a uniform number u of the sequence's SplitMix64 stream chooses
//   top_p = 1: the first token in order of the vocabulary whose running sum exceeds u * total;
//   top_p < 1: of the tokens ranked by weight, the largest first and the lower token among equals, the
//              nucleus is the shortest prefix with a sum of at least top_p * total; then the first of
//              it whose running sum exceeds u * (sum of the nucleus).
// This is the engine's Sampler, drawing the same numbers. Its sums run in f64 one token after another,
// these by chunks and bins, and exp may differ in the last bit: a draw within about 1e-9 of a boundary
// can fall on the other side.
//
// Nothing is sorted. A weight's bits order like the weight, so a rank is found from histograms of the
// bits, refined three times (11, 10, 9 bits of the 30 that weights up to 1 have). A bin keeps how many
// weights fell in and the sum of their lower bits, all integers, from which its sum follows exactly and
// in any order of the additions: results do not depend on the order in which blocks run.
//
// Bytes: the logits once (greedy), else twice and written once, and some five times more from L2 where
// top_p < 1.
#include "common.cuh"
#include "step_state.cuh"

namespace {

typedef unsigned long long u64;

constexpr int kChunk = 4096;  // tokens of a block; at most 8192, so that a bin's lower bits sum up in 32 bits
constexpr int kChunkThreads = 256;
constexpr int kPerThread = kChunk / kChunkThreads;
constexpr int kDrawThreads = 1024;

// Bits of a weight: 11 (a bin of the first histogram), 10, 9.
constexpr int kBins1 = 2048, kShift1 = 19;
constexpr int kBins2 = 1024, kShift2 = 9;
constexpr int kBins3 = 512;

// What the kernels of a step hand to each other, all in one allocation of the host's.
struct Scratch {
  u64* best;           // [64] ordered bits of the largest logit << 32 | ~token; then of the chosen token
  u64* lows;           // [64][2048] sums of lower bits
  double* chunk_sums;  // [64][chunks]
  unsigned* counts;    // [64][2048] weights in a bin
};

__device__ __forceinline__ Scratch scratch_at(void* memory, int chunks) {
  Scratch scratch;
  scratch.best = static_cast<u64*>(memory);
  scratch.lows = scratch.best + kMaxBatch;
  scratch.chunk_sums = reinterpret_cast<double*>(scratch.lows + kMaxBatch * kBins1);
  scratch.counts = reinterpret_cast<unsigned*>(scratch.chunk_sums + kMaxBatch * chunks);
  return scratch;
}

// Unsigned numbers in the order of the floats; both zeros are one, and a NaN comes before all.
__device__ __forceinline__ unsigned ordered(float value) {
  if (value != value) return 0;
  const unsigned bits = __float_as_uint(value + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float from_ordered(unsigned bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

__device__ __forceinline__ u64 warp_max(u64 value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value = max(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

// This block's tokens of its row, kPerThread a thread; tokens beyond the vocabulary read `beyond`.
__device__ __forceinline__ void load_chunk(const float* row, int vocabulary, float beyond, float (&logits)[kPerThread]) {
  const int first = blockIdx.x * kChunk + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int token = first + i * kChunkThreads;
    logits[i] = token < vocabulary ? row[token] : beyond;
  }
}

__device__ __forceinline__ uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Number `index` of the stream, in [0, 1), with 24 random bits.
__device__ __forceinline__ float uniform(uint64_t key, int index) {
  return static_cast<float>(mix(key + (index + 1ull) * 0x9E3779B97F4A7C15ull) >> 40) * 0x1p-24f;
}

// The sum of `count` weights whose bits begin with `prefix` (lower bits zero) and whose lower bits sum
// up to `lows`: exact.
__device__ __forceinline__ double sum_of_bin(unsigned prefix, unsigned count, u64 lows) {
  const int exponent = max(static_cast<int>(prefix >> 23), 1);
  const double unit = __hiloint2double((exponent - 150 + 1023) << 20, 0);
  return count * static_cast<double>(__uint_as_float(prefix)) + lows * unit;
}

struct DrawShared {
  double sums1[kBins1];  // by rank: the bin of the largest weights first
  unsigned counts[kBins2];
  unsigned lows[kBins2];
  double warps[kWarp];
  int warp_counts[kWarp];
  double before;
  int first;
  int last;
};

// The sum of `value` over the threads before this one, and over all in `total`.
__device__ double exclusive_sum(double value, DrawShared& shared, double& total) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  double inclusive = value;
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const double lower = __shfl_up_sync(kAllLanes, inclusive, offset);
    if (lane >= offset) inclusive += lower;
  }
  double exclusive = __shfl_up_sync(kAllLanes, inclusive, 1);
  if (lane == 0) exclusive = 0.0;
  if (lane == kWarp - 1) shared.warps[warp] = inclusive;
  __syncthreads();
  double below = 0.0;
  total = 0.0;
  for (int w = 0; w < kDrawThreads / kWarp; w++) {
    if (w == warp) below = total;
    total += shared.warps[w];
  }
  __syncthreads();
  return below + exclusive;
}

struct Found {
  int rank;
  double before;  // sum of all that comes before that rank
};

// The first rank at which base + sums[0] + ... + sums[rank] reaches the target, or exceeds it where
// `beyond`; the last rank with anything in it where none does. Thread t has ranks t * kEach and on.
template <int kEach>
__device__ Found find(const double (&sums)[kEach], double base, double target, bool beyond, DrawShared& shared) {
  if (threadIdx.x == 0) {
    shared.first = INT_MAX;
    shared.last = 0;
  }
  double mine = 0.0, total;
#pragma unroll
  for (int j = 0; j < kEach; j++) mine += sums[j];
  const double start = base + exclusive_sum(mine, shared, total);  // a barrier for first and last too
  double before = start;
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    const double after = before + sums[j];
    if (sums[j] > 0.0) {
      const int rank = threadIdx.x * kEach + j;
      if (beyond ? after > target : after >= target) atomicMin(&shared.first, rank);
      atomicMax(&shared.last, rank);
    }
    before = after;
  }
  __syncthreads();
  const int rank = shared.first != INT_MAX ? shared.first : shared.last;
  before = start;
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    if (threadIdx.x * kEach + j == rank) shared.before = before;
    before += sums[j];
  }
  __syncthreads();
  const Found found{rank, shared.before};
  __syncthreads();
  return found;
}

// Calls visit(bits of the weight) for every positive weight of the row.
template <typename Visit>
__device__ __forceinline__ void for_each_weight(const float* row, int vocabulary, Visit visit) {
  constexpr int kAtOnce = 8;
  for (int first = threadIdx.x; first < vocabulary; first += kAtOnce * kDrawThreads) {
    float weights[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; i++) {
      const int token = first + i * kDrawThreads;
      weights[i] = token < vocabulary ? row[token] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; i++) {
      if (weights[i] > 0.0f) visit(__float_as_uint(weights[i]));
    }
  }
}

// A place in the ranking: the nth token, from 1, of those whose weight has these bits.
struct Place {
  unsigned bits;
  int nth;
  double sum;  // of all weights up to it, itself included
};

// The first place whose running sum reaches (or, where `beyond`, exceeds) the target.
__device__ Place place_of(const float* row, int vocabulary, double target, bool beyond, DrawShared& shared) {
  const double pair[2] = {shared.sums1[2 * threadIdx.x], shared.sums1[2 * threadIdx.x + 1]};
  Found found = find<2>(pair, 0.0, target, beyond, shared);
  const unsigned prefix1 = kBins1 - 1 - found.rank;

  shared.counts[threadIdx.x] = 0;
  shared.lows[threadIdx.x] = 0;
  __syncthreads();
  for_each_weight(row, vocabulary, [&](unsigned bits) {
    if (bits >> kShift1 == prefix1) {
      const unsigned bin = bits >> kShift2 & (kBins2 - 1);
      atomicAdd(&shared.counts[bin], 1u);
      atomicAdd(&shared.lows[bin], bits & ((1u << kShift2) - 1));
    }
  });
  __syncthreads();
  const unsigned bin2 = kBins2 - 1 - threadIdx.x;
  const double sum2[1] = {sum_of_bin(prefix1 << kShift1 | bin2 << kShift2, shared.counts[bin2], shared.lows[bin2])};
  found = find<1>(sum2, found.before, target, beyond, shared);
  const unsigned prefix2 = prefix1 << (kShift1 - kShift2) | (kBins2 - 1 - found.rank);

  shared.counts[threadIdx.x] = 0;
  __syncthreads();
  for_each_weight(row, vocabulary, [&](unsigned bits) {
    if (bits >> kShift2 == prefix2) atomicAdd(&shared.counts[bits & (kBins3 - 1)], 1u);
  });
  __syncthreads();
  double sum3[1] = {0.0};
  if (threadIdx.x < kBins3) {
    const unsigned bin3 = kBins3 - 1 - threadIdx.x;
    sum3[0] = sum_of_bin(prefix2 << kShift2 | bin3, shared.counts[bin3], 0);
  }
  found = find<1>(sum3, found.before, target, beyond, shared);

  Place place;
  place.bits = prefix2 << kShift2 | (kBins3 - 1 - found.rank);
  const int equal = shared.counts[kBins3 - 1 - found.rank];
  const double weight = __uint_as_float(place.bits);
  const double needed = (target - found.before) / weight;
  const double nth = beyond ? floor(needed) + 1.0 : ceil(needed);
  place.nth = static_cast<int>(fmin(fmax(nth, 1.0), static_cast<double>(max(equal, 1))));
  place.sum = found.before + place.nth * weight;
  __syncthreads();  // counts are used again
  return place;
}

// The token at a place: warps count the equal weights of their stretch of the vocabulary.
__device__ int token_at(const float* row, int vocabulary, const Place& place, DrawShared& shared) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int stretch = divide_up(divide_up(vocabulary, kDrawThreads / kWarp), kWarp) * kWarp;
  const int from = warp * stretch, to = min(vocabulary, from + stretch);
  int count = 0;
#pragma unroll 8
  for (int token = from + lane; token < to; token += kWarp) count += __float_as_uint(row[token]) == place.bits;
  count = warp_sum(count);
  if (lane == 0) shared.warp_counts[warp] = count;
  if (threadIdx.x == 0) shared.first = 0;
  __syncthreads();
  int before = 0;
  for (int w = 0; w < warp; w++) before += shared.warp_counts[w];
  if (before < place.nth && place.nth <= before + count) {
    for (int start = from; start < to; start += kWarp) {
      const int token = start + lane;
      int equal;
      const bool hit = token < to && __float_as_uint(row[token]) == place.bits;
      const int rank = warp_rank(hit, equal);
      if (hit && before + rank + 1 == place.nth) shared.first = token;
      before += equal;
    }
  }
  __syncthreads();
  return shared.first;
}

// Nucleus sampling of a row of weights.
__device__ int draw_from_nucleus(const float* row, int vocabulary, const unsigned* counts, const u64* lows, double top_p,
                                 float u, DrawShared& shared) {
  double mine = 0.0, total;
#pragma unroll
  for (int j = 0; j < kBins1 / kDrawThreads; j++) {
    const int rank = threadIdx.x * (kBins1 / kDrawThreads) + j;
    const int bin = kBins1 - 1 - rank;
    const double sum = sum_of_bin(static_cast<unsigned>(bin) << kShift1, counts[bin], lows[bin]);
    shared.sums1[rank] = sum;
    mine += sum;
  }
  exclusive_sum(mine, shared, total);
  const Place end = place_of(row, vocabulary, top_p * total, false, shared);
  Place chosen = place_of(row, vocabulary, u * end.sum, true, shared);
  if (chosen.bits < end.bits || (chosen.bits == end.bits && chosen.nth > end.nth)) chosen = end;
  return token_at(row, vocabulary, chosen, shared);
}

// Sampling of a row of weights from the whole vocabulary, of which each chunk's sum is known: at most
// kBins1 chunks, which are 8 million tokens.
__device__ int draw_from_all(const float* row, int vocabulary, const double* chunk_sums, int chunks, float u,
                             DrawShared& shared) {
  for (int c = threadIdx.x; c < chunks; c += kDrawThreads) shared.sums1[c] = chunk_sums[c];
  __syncthreads();
  chunk_sums = shared.sums1;
  if (threadIdx.x == 0) {
    double total = 0.0;
    for (int c = 0; c < chunks; c++) total += chunk_sums[c];
    const double target = u * total;
    double before = 0.0, sum = 0.0;
    int chosen = 0;
    for (int c = 0; c < chunks; c++) {
      if (chunk_sums[c] > 0.0) {
        chosen = c;
        before = sum;
      }
      sum += chunk_sums[c];
      if (sum > target) break;
    }
    shared.last = chosen;
    shared.before = before;
    shared.warps[0] = target;
  }
  __syncthreads();
  const int chunk = shared.last;
  const double before = shared.before, target = shared.warps[0];
  __syncthreads();
  constexpr int kEach = kChunk / kDrawThreads;
  double weights[kEach];
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    const int token = chunk * kChunk + threadIdx.x * kEach + j;
    weights[j] = token < vocabulary ? row[token] : 0.0f;
  }
  return chunk * kChunk + find<kEach>(weights, before, target, true, shared).rank;
}

}  // namespace

// scratch.best[b] = the largest of all logits of row b and its token. Before a step, best is zero.
// nucleus: whether top_p < 1, for which the histograms are cleared here.
// Grid: chunks = vocabulary / 4096 rounded up, by rows. 256 threads.
extern "C" __global__ void __launch_bounds__(kChunkThreads) sample_largest(
    const float* logits, int vocabulary, const StepState* state, void* memory, int nucleus) {
  __shared__ u64 warps[kChunkThreads / kWarp];
  depend_release();
  depend_wait();
  const int b = blockIdx.y;
  if (!state->active[b]) return;
  const Scratch scratch = scratch_at(memory, gridDim.x);
  float values[kPerThread];
  load_chunk(logits + static_cast<long long>(b) * vocabulary, vocabulary, 0.0f, values);
  if (nucleus) {
    for (int bin = blockIdx.x * kChunkThreads + threadIdx.x; bin < kBins1; bin += gridDim.x * kChunkThreads) {
      scratch.counts[b * kBins1 + bin] = 0;
      scratch.lows[b * kBins1 + bin] = 0;
    }
  }
  u64 best = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const unsigned token = blockIdx.x * kChunk + threadIdx.x + i * kChunkThreads;
    if (token < vocabulary) best = max(best, static_cast<u64>(ordered(values[i])) << 32 | ~token);
  }
  best = warp_max(best);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = best;
  __syncthreads();
  if (threadIdx.x < kWarp) {
    best = warp_max(threadIdx.x < kChunkThreads / kWarp ? warps[threadIdx.x] : 0);
    if (threadIdx.x == 0) atomicMax(scratch.best + b, best);
  }
}

// Replaces logits by weights, and sums them up: by chunk, or by bin where nucleus. Grid as above.
extern "C" __global__ void __launch_bounds__(kChunkThreads) sample_weigh(
    float* logits, int vocabulary, const StepState* state, void* memory, double temperature, int nucleus) {
  __shared__ unsigned counts[kBins1];
  __shared__ unsigned lows[kBins1];
  __shared__ double warps[kChunkThreads / kWarp];
  depend_release();
  if (nucleus) {
    for (int bin = threadIdx.x; bin < kBins1; bin += kChunkThreads) counts[bin] = lows[bin] = 0;
    __syncthreads();
  }
  depend_wait();
  const int b = blockIdx.y;
  if (!state->active[b]) return;
  const Scratch scratch = scratch_at(memory, gridDim.x);
  float* row = logits + static_cast<long long>(b) * vocabulary;
  float values[kPerThread];
  load_chunk(row, vocabulary, -INFINITY, values);
  const float largest = from_ordered(scratch.best[b] >> 32);
  double sum = 0.0;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int token = blockIdx.x * kChunk + threadIdx.x + i * kChunkThreads;
    const double exponent = (values[i] - largest) / temperature;
    // Below, the result rounds to zero. A NaN weighs nothing either.
    const float weight = exponent > -104.0 ? fminf(__double2float_rn(exp(exponent)), 1.0f) : 0.0f;
    if (token < vocabulary) row[token] = weight;
    sum += weight;
    if (nucleus && weight > 0.0f) {
      const unsigned bits = __float_as_uint(weight);
      atomicAdd(&counts[bits >> kShift1], 1u);
      atomicAdd(&lows[bits >> kShift1], bits & ((1u << kShift1) - 1));
    }
  }
  if (nucleus) {
    __syncthreads();
    for (int bin = threadIdx.x; bin < kBins1; bin += kChunkThreads) {
      if (counts[bin] == 0) continue;
      atomicAdd(scratch.counts + b * kBins1 + bin, counts[bin]);
      atomicAdd(scratch.lows + b * kBins1 + bin, static_cast<u64>(lows[bin]));
    }
    return;
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < kChunkThreads / kWarp; w++) sum += warps[w];
    scratch.chunk_sums[b * gridDim.x + blockIdx.x] = sum;
  }
}

// Puts the chosen token of row b into scratch.best[b]. weights: what sample_weigh made of the logits.
// Grid: rows. 1024 threads.
extern "C" __global__ void __launch_bounds__(kDrawThreads) sample_draw(
    const float* weights, int vocabulary, const StepState* state, void* memory, double top_p) {
  __shared__ DrawShared shared;
  depend_release();
  depend_wait();
  const int b = blockIdx.x;
  if (!state->active[b]) return;
  const int chunks = divide_up(vocabulary, kChunk);
  const Scratch scratch = scratch_at(memory, chunks);
  const float* row = weights + static_cast<long long>(b) * vocabulary;
  const float u = uniform(state->random_key[b], state->output_index[b]);
  const int token = top_p < 1.0 ? draw_from_nucleus(row, vocabulary, scratch.counts + b * kBins1,
                                                    scratch.lows + b * kBins1, top_p, u, shared)
                                : draw_from_all(row, vocabulary, scratch.chunk_sums + b * chunks, chunks, u, shared);
  if (threadIdx.x == 0) scratch.best[b] = ~static_cast<unsigned>(token);
}

// Ends a step: the chosen tokens, -1 in rows that are not active, go to out_tokens [step][64] and into
// the state, which moves on by one position; a sequence that got one of end_tokens [ends], or its last
// token, is no longer active. Counts the step, from 0 again after `steps`. Clears scratch.best. One block of
// 64 threads.
extern "C" __global__ void __launch_bounds__(kMaxBatch) sample_advance(
    StepState* state, void* memory, const int* end_tokens, int ends, int* out_tokens, int steps) {
  depend_release();
  depend_wait();
  const int b = threadIdx.x;
  u64* best = static_cast<u64*>(memory);
  const int step = state->step;
  const int token = static_cast<int>(~static_cast<unsigned>(best[b]));
  best[b] = 0;
  bool active = state->active[b];
  out_tokens[step * kMaxBatch + b] = active ? token : -1;
  if (active) {
    const int remaining = state->remaining[b] - 1;
    state->token[b] = token;
    state->position[b]++;
    state->output_index[b]++;
    state->remaining[b] = remaining;
    active = remaining > 0;
    for (int i = 0; i < ends; i++) active = active && token != end_tokens[i];
    state->active[b] = active;
  }
  const int batch = __syncthreads_count(active);
  if (b == 0) {
    state->step = step + 1 == steps ? 0 : step + 1;
    state->batch = batch;
    state->bucket = batch <= 1 ? 0 : kWarp - __clz(batch - 1);
  }
}
