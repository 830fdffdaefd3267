// The called rows of a block's (or a cluster's) own neurons, listed while scores are still being
// computed, and the second product's tiles that follow from them (sm_90).
#pragma once

#include "bulk_copy.cuh"
#include "epilogues.cuh"

#if __CUDA_ARCH__ >= 900

// In shared memory, for each tile of the scores: a barrier that says that its called rows are listed, and
// how many there are up to its end. One warp writes, all read.
struct CalledRows {
  uint64_t* listed;  // [tiles], one arrival each
  int* counts;       // [tiles]
  uint16_t* list;    // ascending, rows of the own tiles counted from 0
  int tiles;

  // Lists the rows of 32 that have their bit, after `count` others; returns how many there are then.
  __device__ int append(int first, uint32_t bits, int count) const {
    const int lane = threadIdx.x % kWarp;
    if (bits >> lane & 1) list[count + __popc(bits & ((1u << lane) - 1))] = static_cast<uint16_t>(first + lane);
    return count + __popc(bits);
  }

  __device__ void publish(int tile, int count) const {
    if (threadIdx.x % kWarp == 0) counts[tile] = count;
    __syncwarp();
    if (threadIdx.x % kWarp == 0) barrier_arrive(listed + tile);
  }
};

// What a warp knows of them.
struct KnownRows {
  const CalledRows called;
  int seen = 0, count = 0;

  // Waits until the rows of the unit-th `each` are known, as many as there are; whether there are any.
  __device__ bool unit(int unit, int each) {
    while (count < (unit + 1) * each && seen < called.tiles) {
      barrier_wait(called.listed + seen, 0);
      count = called.counts[seen++];
    }
    return unit * each < count;
  }

  // The at-th row, negative past the last.
  __device__ int row(int at) const { return at < count ? called.list[at] : -1; }
};

// How tiles of a second product hold neurons: in each 16 rows 16 neurons, or gate and up of eight.
struct NeuronTiles {
  bool both;
  int rows;  // from a neuron's gate to its up

  __device__ NeuronTiles(Second kind, int rows) : both(kind == Second::kBoth), rows(rows) {}
  __device__ int neurons(int tile_rows) const { return both ? tile_rows / 2 : tile_rows; }
  // The neuron of a tile that its row r belongs to, and the matrix's row then.
  __device__ int neuron(int r) const { return both ? r / 16 * 8 + r % 8 : r; }
  __device__ int row(int neuron, int r) const { return neuron < 0 ? -1 : neuron + (both ? (r / 8 & 1) * rows : 0); }
};

#endif
