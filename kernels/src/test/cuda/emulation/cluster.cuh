// kernels' cluster.cuh, for simt.h: each block is a cluster of its own.
#pragma once

#include "bulk_copy.cuh"

inline int cluster_rank() { return 0; }
inline int cluster_size() { return 1; }
inline void cluster_arrive() {}
inline void cluster_wait() {}

inline uint32_t address_in(const void* shared, int rank) {
  if (rank != 0) simt::fail("a cluster has one block here");
  return shared_address(shared);
}
inline void store_counted(uint32_t to, uint32_t barrier, float x, float y, float z, float w) {
  const float values[4] = {x, y, z, w};
  memcpy(shared + to, values, sizeof(values));
  simt::mbarrier_count(shared + barrier, sizeof(values));
}
inline void store_counted(uint32_t to, uint32_t barrier, uint32_t value) {
  memcpy(shared + to, &value, sizeof(value));
  simt::mbarrier_count(shared + barrier, sizeof(value));
}
inline void barrier_arrive_read_in(uint32_t barrier) { simt::mbarrier_arrive(shared + barrier, 0); }
inline void barrier_arrive_in(uint32_t barrier) { simt::mbarrier_arrive(shared + barrier, 0); }
inline void barrier_wait_cluster(uint64_t* barrier, int parity) { barrier_wait(barrier, parity); }
