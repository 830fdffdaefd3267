// What a union strategy needs beside the products:
//
//   energy_totals, energy, trim_union   union `budget`: the rows with the largest batch energy,
//        energy[i] = sum over b of m[i, b]^2 / sum over k of m[k, b]^2, of equals the lower row, where m
//        is |score| scale, or how far a predictor's logit is above the threshold
//   gather_scores                       the oracles' coefficients: the scores themselves over the union
//
// scores f32 [f x tile]; tile (8 to 64) holds `batch` sequences. Everything lies in L2.

#include "calls.cuh"
#include "row_ranks.cuh"

namespace {

constexpr int kTotalsThreads = 256;

__device__ __forceinline__ float magnitude(float score, float scale, int logits, float threshold) {
  return logits ? fmaxf(0.0f, score - threshold) : score * scale;
}

}  // namespace

// totals: f32 [gridDim.x x tile], each block's sum over its rows. 256 threads.
extern "C" __global__ void __launch_bounds__(kTotalsThreads)
energy_totals(const float* scores, int rows, int tile, const StepState* state, const float* thresholds,
              const float* row_scale, int layer, int layers, int logits, float* totals) {
  __shared__ float sums[kTotalsThreads];
  depend_release();
  depend_wait();
  const int b = threadIdx.x % tile, lane = threadIdx.x / tile, lanes = kTotalsThreads / tile;
  const int each = divide_up(rows, static_cast<int>(gridDim.x)), first = blockIdx.x * each, end = min(rows, first + each);
  const float threshold = thresholds[state->bucket * layers + layer];
  float sum = 0;
  for (int row = first + lane; row < end; row += lanes) {
    const float scale = row_scale == nullptr ? 1.0f : row_scale[row];
    const float m = magnitude(scores[static_cast<size_t>(row) * tile + b], scale, logits, threshold);
    sum += m * m;
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x < tile) {
    for (int i = 1; i < lanes; i++) sum += sums[i * tile + b];
    totals[blockIdx.x * tile + b] = sum;
  }
}

// A thread a row. energies: f32 [rows].
extern "C" __global__ void __launch_bounds__(128)
energy(const float* scores, int rows, int tile, int batch, const StepState* state, const float* thresholds,
       const float* row_scale, int layer, int layers, int logits, const float* totals, int blocks, float* energies) {
  __shared__ float shares[kMaxBatch];
  depend_release();
  depend_wait();
  if (threadIdx.x < tile) {
    float total = 0;
    for (int i = 0; i < blocks; i++) total += totals[i * tile + threadIdx.x];
    const bool counts = threadIdx.x < batch && state->active[threadIdx.x] && total > 0;
    shares[threadIdx.x] = counts ? 1 / total : 0;
  }
  __syncthreads();
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const float scale = row_scale == nullptr ? 1.0f : row_scale[row];
  const float threshold = thresholds[state->bucket * layers + layer];
  float sum = 0;
  for (int b = 0; b < batch; b++) {
    const float m = magnitude(scores[static_cast<size_t>(row) * tile + b], scale, logits, threshold);
    sum += m * m * shares[b];
  }
  energies[row] = sum;
}

// One block of 1024 threads. Leaves at most `most` rows in the union. Energies are not negative, so
// their bits order as they do: the least kept one is found by its bits, 8 at a time.
extern "C" __global__ void __launch_bounds__(1024)
trim_union(const float* energies, int rows, int most, uint32_t* union_bits) {
  __shared__ int histogram[256];
  __shared__ int scratch[32];
  __shared__ uint32_t chosen;
  __shared__ int wanted;
  depend_release();
  depend_wait();
  int mine = 0;
  for (int word = threadIdx.x; word < rows / 32; word += blockDim.x) mine += __popc(union_bits[word]);
  const int count = block_sum(mine, scratch);
  if (count <= most) return;
  if (threadIdx.x == 0) {
    chosen = 0;
    wanted = most;
  }
  uint32_t known = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (threadIdx.x < 256) histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int row = threadIdx.x; row < rows; row += blockDim.x) {
      const uint32_t bits = __float_as_uint(energies[row]);
      if ((union_bits[row / 32] >> (row % 32) & 1) && (bits & known) == chosen) atomicAdd(&histogram[bits >> shift & 255], 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = 255;
      while (digit > 0 && histogram[digit] < wanted) wanted -= histogram[digit--];
      chosen |= static_cast<uint32_t>(digit) << shift;
    }
    __syncthreads();
    known |= 255u << shift;
  }
  // `wanted` of the rows whose energy is exactly the chosen one stay: the lowest
  int before = 0;
  for (int at = 0; at < rows; at += blockDim.x) {
    const int row = at + threadIdx.x;
    const uint32_t word = row < rows ? union_bits[row / 32] : 0;
    const uint32_t bits = row < rows ? __float_as_uint(energies[row]) : 0;
    const bool called = word >> (row % 32) & 1;
    const bool tie = called && bits == chosen;
    int ties;
    int rank = warp_rank(tie, ties);
    const int warp = threadIdx.x / kWarp;
    if (threadIdx.x % kWarp == 0) scratch[warp] = ties;
    __syncthreads();
    int all = 0;
    for (int w = 0; w < 32; w++) {
      rank += w < warp ? scratch[w] : 0;
      all += scratch[w];
    }
    const unsigned kept = __ballot_sync(kAllLanes, called && (bits > chosen || (tie && before + rank < wanted)));
    if (row < rows && threadIdx.x % kWarp == 0) union_bits[row / 32] = kept;
    before += all;
    __syncthreads();
  }
}

// coefficients f16 [f x tile], a row a neuron; a block has 32 ranks. 256 threads.
extern "C" __global__ void __launch_bounds__(256)
gather_scores(const float* scores, int rows, int tile, int batch, const StepState* state, const float* thresholds,
              const int* dense_from, const float* row_scale, int* records, int layer, int layers, int own,
              const uint32_t* union_bits, f16* coefficients) {
  __shared__ int ranks_memory[RowRanks::kInts];
  __shared__ int list[32];
  depend_release();
  depend_wait();
  const Calls calls{state, thresholds, dense_from, row_scale, records, layer, layers, 0};
  const RowRanks ranks(ranks_memory, union_bits, rows, dense_from[state->bucket]);
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    calls.record()[0] = ranks.union_rows();
    calls.record()[1] = ranks.every_row();
  }
  const int first = blockIdx.x * 32;
  if (first >= ranks.count()) return;
  ranks.list(first, 32, list);
  const float threshold = calls.threshold();
  const int here = min(32, ranks.count() - first);
  for (int i = threadIdx.x; i < here * tile; i += blockDim.x) {
    const int row = list[i / tile], b = i % tile;
    const float score = scores[static_cast<size_t>(row) * tile + b];
    const bool used = b < batch && state->active[b] && (!own || calls.called(score, calls.scale(row), threshold));
    coefficients[static_cast<size_t>(row) * tile + b] = to_neuron(used ? score : 0);
  }
}
