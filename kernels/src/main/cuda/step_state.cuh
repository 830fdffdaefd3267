// What a decode step knows about its sequences, in device memory, so that steps follow each other
// without the host. Written by the host before a batch of steps and by `sample_advance` after each.
// StepState.java mirrors the layout; all fields are 4 or 8 bytes, in this order, no padding.
#pragma once

#include <cstdint>

constexpr int kMaxBatch = 64;
// Ints of a step's record for one layer: union rows, ran dense, rows called by each sequence.
constexpr int kRecordStride = 2 + kMaxBatch;

struct StepState {
  int step;      // index of this step in the batch of steps: row of records and of tokens
  int batch;     // active sequences
  int bucket;    // batch bucket of `batch`: k for up to 2^k sequences
  int reserved;
  uint64_t random_key[kMaxBatch];  // of the sequence's random stream
  int active[kMaxBatch];           // 1 while the sequence is being answered
  int token[kMaxBatch];            // the token this step is given
  int position[kMaxBatch];         // its position in the sequence
  int slot[kMaxBatch];             // row of the page table
  int output_index[kMaxBatch];     // index in the output of the token this step samples
  int remaining[kMaxBatch];        // tokens the sequence may still be given, this step's included
};

// Whether a layer's step is past its crossover: then every row has been computed. Past L1: a kernel that
// still runs may have said so (known_union.cuh).
__device__ inline bool ran_dense(const StepState* state, const int* records, int layer, int layers) {
  return __ldcg(records + (static_cast<size_t>(state->step) * layers + layer) * kRecordStride + 1) != 0;
}
