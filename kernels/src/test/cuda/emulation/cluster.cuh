// kernels' cluster.cuh, for simt.h. An address in another block's shared memory has its rank above the offset.
#pragma once

#include "bulk_copy.cuh"

inline int cluster_rank() { return simt::cluster_rank(); }
inline int cluster_size() { return simt::cluster_size(); }
inline void cluster_arrive() { simt::cluster_arrive(); }
inline void cluster_wait() { simt::cluster_wait(); }

constexpr int kOffsetBits = 24;

inline uint32_t address_in(const void* shared, int rank) {
  if (rank < 0 || rank >= cluster_size()) simt::fail("the cluster has no block of this rank");
  return static_cast<uint32_t>(rank) << kOffsetBits | shared_address(shared);
}
inline char* at_address(uint32_t address) {
  return simt::shared_of(address >> kOffsetBits) + (address & ((1u << kOffsetBits) - 1));
}
template <class Value>
void store_and_count(uint32_t to, uint32_t barrier, const Value& value) {
  // the device lets it pass; compute-sanitizer does not
  if (cluster_size() == 1) simt::fail("an asynchronous store in a cluster of one block");
  if (to >> kOffsetBits != barrier >> kOffsetBits) simt::fail("a store is counted in by another block's barrier");
  memcpy(at_address(to), &value, sizeof(value));
  simt::mbarrier_count(at_address(barrier), sizeof(value));
}
inline void store_counted(uint32_t to, uint32_t barrier, float x, float y, float z, float w) {
  store_and_count(to, barrier, float4{x, y, z, w});
}
inline void store_counted(uint32_t to, uint32_t barrier, uint32_t value) { store_and_count(to, barrier, value); }
inline void barrier_arrive_read_in(uint32_t barrier) { simt::mbarrier_arrive(at_address(barrier), 0); }
inline void barrier_arrive_in(uint32_t barrier) { simt::mbarrier_arrive(at_address(barrier), 0); }
inline void barrier_wait_cluster(uint64_t* barrier, int parity) { barrier_wait(barrier, parity); }
