// A layer's union is known some time before the kernel that finds it has ended, since that one goes on with
// the products of the called rows. Its blocks (or clusters of them) say so, and the blocks of the down
// projection, which begin as soon as multiprocessors become free, wait for that instead of for the end: they
// ask for the union's rows while the last products run.
//
// Two ints in device memory, zero before the first and after the last: how many have said so, and how many
// blocks have seen that all had. To be launched right after the kernel whose blocks say so: a dependent's
// blocks begin when all of those run or have ended, so that nobody waits for a block that has no place.
#pragma once

#include "common.cuh"

struct KnownUnion {
  int* counters;  // null: nobody says so, it is known when the kernel before has ended

  // One thread, which wrote the bits itself or met those that did at a barrier; once a block or cluster.
  __device__ void say() const {
    if (counters == nullptr) return;
    __threadfence();
    atomicAdd(counters, 1);
  }

  // Until `sayers` have. Whole block, ends with a barrier.
  __device__ void await(int sayers) const {
    if (counters == nullptr) {
      depend_wait();
      return;
    }
    if (threadIdx.x == 0) {
      while (load_acquire(counters) < sayers) __nanosleep(100);
      const int blocks = static_cast<int>(gridDim.x * gridDim.y);
      if (atomicAdd(counters + 1, 1) == blocks - 1) counters[0] = counters[1] = 0;
    }
    __syncthreads();
  }
};
