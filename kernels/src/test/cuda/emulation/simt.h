// Runs CUDA kernels on the CPU, so that what they compute and how their warps wait for each other is tested
// where there is no device: kernels' sources are compiled by a C++ compiler as they are, with this folder's
// common.cuh, bulk_copy.cuh, cluster.cuh and warpgroup.cuh in place of their own. Slow, one cluster of blocks
// after the other, every thread a fiber. Each block of a cluster is a thread of the host, with shared memory of its
// own, and one of them runs at a time.
//
// Warps and blocks take turns in random order, asynchronous copies arrive at random times, and a warpgroup's products are
// computed when they are waited for, so that code that relies on an order that nothing promises gives wrong
// results in some run. It says nothing about speed, about the order of memory accesses within a turn, or about
// what only a device does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <vector>

namespace simt {

struct Index {
  int x, y, z;
};

extern thread_local Index thread, block;
extern Index block_size, grid_size;
extern std::mt19937 random;

// Runs a kernel's body for every thread of every block, in clusters of neighbours in x; `prepare` once a block,
// before it. The program ends with a message where threads wait for what nobody does.
void run(int blocks_x, int blocks_y, int cluster, int threads, const std::function<void()>& prepare,
         const std::function<void()>& body);
inline void run(int blocks_x, int blocks_y, int threads, const std::function<void()>& body) {
  run(blocks_x, blocks_y, 1, threads, [] {}, body);
}

[[noreturn]] void fail(const char* what);

// Lets others run until the condition holds.
void yield();
void progress();
template <class Condition>
void wait_until(const Condition& condition) {
  while (!condition()) yield();
  progress();
}

// ---- warps -----------------------------------------------------------------------------------------

// A lane's part of a product of a warpgroup that runs on after it is asked for.
struct Product {
  uint32_t a[4];
  float* d;
  uint64_t b;
  int columns;
  bool transposed;
  int group;  // of the lane's committed ones, counted from 0
};

struct Lane {
  uint64_t in, out;
  const void* pointer;
  uint32_t words[8];
  float sums[4];
  std::deque<Product> products;
  int committed = 0;  // groups of products
};

struct Warp {
  Lane lanes[32];
  int operation[32];
  int arrived = 0, round = 0;
};

Warp& warp();
inline int lane() { return thread.x % 32; }
inline Lane& mine() { return warp().lanes[lane()]; }

// All lanes meet; the last one computes for all. What a lane finds in its own Lane afterwards stays until it
// comes to the next such call.
template <class Compute>
void together(int operation, const Compute& compute) {
  Warp& of = warp();
  of.operation[lane()] = operation;
  if (++of.arrived < 32) {
    const int round = of.round;
    wait_until([&] { return of.round != round; });
    return;
  }
  for (int other : of.operation)
    if (other != operation) fail("lanes of a warp are at different instructions");
  compute(of.lanes);
  of.arrived = 0;
  of.round++;
  progress();
}

// ---- barriers --------------------------------------------------------------------------------------

// bar.sync and bar.arrive; number 0 is __syncthreads().
void barrier_sync(int number, int threads);
void barrier_arrive(int number, int threads);

// Transaction barriers, by their address in shared memory.
void mbarrier_init(const void* at, int arrivals);
void mbarrier_arrive(const void* at, long bytes);
// So many bytes are in.
void mbarrier_count(const void* at, long bytes);
bool mbarrier_passed(const void* at, int parity);

// ---- clusters ----------------------------------------------------------------------------------------

int cluster_rank();
int cluster_size();
// barrier.cluster
void cluster_arrive();
void cluster_wait();
// Shared memory of a block of the cluster.
char* shared_of(int rank);

// ---- asynchronous copies -----------------------------------------------------------------------------

// cp.async of this thread, in order; zeros where `from` is null.
void copy_async(void* to, const void* from, int bytes);
// mbarrier arrival behind all that this thread has asked for.
void arrive_copied(const void* barrier);
bool copied();
// The bulk copy engine, in any order.
void copy_bulk(void* to, const void* from, int bytes, const void* barrier);

}  // namespace simt
