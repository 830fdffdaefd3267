// When a sequence calls a neuron, and what a step's kernels need to know of it.
#pragma once

#include "step_state.cuh"
#include "common.cuh"

// How scores call neurons in one layer; passed to kernels by value.
struct Calls {
  const StepState* state;
  const float* thresholds;   // [buckets x layers]
  const int* dense_from;     // [buckets] union rows from which a layer runs dense; above f for never
  const float* row_scale;    // [f] factors of the scores, or null
  int* records;              // [steps x layers x kRecordStride], after those of the step before
  int layer;
  int layers;
  int logits;                // 1: the score itself must pass the threshold; 0: its magnitude

  __device__ float threshold() const { return thresholds[state->bucket * layers + layer]; }
  __device__ int* record() const {
    return records + (static_cast<size_t>(state->step) * layers + layer) * kRecordStride;
  }
  // Whether the layer was past its crossover a step ago: what decides where calls and the products that
  // follow from them are one kernel, which reads rows before it can know how many there will be.
  __device__ bool crossed() const { return record()[-layers * kRecordStride] >= dense_from[state->bucket]; }
  // Records that the layer is past its crossover; one thread of each block.
  __device__ void record_dense() const {
    if (blockIdx.x == 0) record()[1] = 1;
  }
  // Adds to the layer's record; the block's threads, after a barrier behind `counts` [batch tile].
  __device__ void add(int union_rows, const int* counts, int tile) const {
    if (threadIdx.x == 0 && union_rows != 0) atomicAdd(record(), union_rows);
    if (threadIdx.x < tile && counts[threadIdx.x] != 0) atomicAdd(record() + 2 + threadIdx.x, counts[threadIdx.x]);
  }
  __device__ float scale(int row) const { return row_scale == nullptr ? 1.0f : row_scale[row]; }
  __device__ bool called(float score, float scale, float threshold) const {
    return (logits ? score : fabsf(score) * scale) > threshold;
  }
};

// Calls travel as separate parameters: a struct by value would tie the launcher to its padding.
#define CALLS_PARAMETERS                                                                                        \
  const StepState *state, const float *thresholds, const int *dense_from, const float *row_scale, int *records, \
      int layer, int layers, int logits
#define CALLS \
  Calls { state, thresholds, dense_from, row_scale, records, layer, layers, logits }

// Bit b: sequence b is in the step. Whole warps, b < batch.
__device__ __forceinline__ uint64_t active_mask(const StepState* state, int batch) {
  const int lane = threadIdx.x % kWarp;
  const unsigned low = __ballot_sync(kAllLanes, lane < batch && state->active[lane] != 0);
  const unsigned high = __ballot_sync(kAllLanes, lane + kWarp < batch && state->active[lane + kWarp] != 0);
  return static_cast<uint64_t>(high) << kWarp | low;
}
