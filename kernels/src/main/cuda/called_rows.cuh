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

// Of a warp whose lanes 4 g to 4 g + 3 have row g of eight. Bit g: `any` of row g's lanes.
__device__ __forceinline__ uint32_t eight_rows(bool any) {
  uint32_t votes = __ballot_sync(kAllLanes, any);
  votes |= votes >> 1;
  votes |= votes >> 2;
  votes &= 0x11111111u;
  votes = (votes | votes >> 3) & 0x03030303u;
  votes = (votes | votes >> 6) & 0x000f000fu;
  return (votes | votes >> 12) & 0xffu;
}

// What a warp knows of them: the second product's units, `most` rows each, as they become known. Where the
// first `early` tiles call fewer than that, their rows are a unit of their own, so that memory has something
// to give while the last scores are computed. Every warp finds the same units.
class KnownRows {
 public:
  __device__ KnownRows(const CalledRows& called, int most, int early) : called(called), most(most), early(early) {}

  // Waits for the next unit; whether there is one.
  __device__ bool next() {
    first = end;
    while (count - first < most && seen < (first == 0 ? early : called.tiles)) see();
    if (count == first)
      while (count - first < most && seen < called.tiles) see();
    end = min(first + most, count);
    return end > first;
  }

  // The unit's row, negative past the last.
  __device__ int row(int at) const { return first + at < end ? called.list[first + at] : -1; }

 private:
  const CalledRows called;
  const int most, early;
  int seen = 0, count = 0, first = 0, end = 0;

  __device__ void see() {
    barrier_wait(called.listed + seen, 0);
    count = called.counts[seen++];
  }
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
