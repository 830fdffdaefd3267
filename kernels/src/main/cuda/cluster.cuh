// Blocks of one cluster (sm_90): who they are, what they store in each other's shared memory and how
// they tell. Shared memory lies the same in all blocks of a cluster, so an address of the own block names
// its counterpart in another.
#pragma once

#include "bulk_copy.cuh"

#if __CUDA_ARCH__ >= 900

__device__ __forceinline__ int cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}

__device__ __forceinline__ int cluster_size() {
  uint32_t size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return static_cast<int>(size);
}

// Every thread of the cluster arrives, and waits, once a round. What was written before is visible after.
__device__ __forceinline__ void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

// The address, for the instructions below, of what `shared` is in the block of this rank.
__device__ __forceinline__ uint32_t address_in(const void* shared, int rank) {
  uint32_t address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(shared)), "r"(rank));
  return address;
}

// 16 bytes to a block, counted in by a barrier of that block. Nothing to wait for here.
__device__ __forceinline__ void store_counted(uint32_t to, uint32_t barrier, float x, float y, float z, float w) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];"
               :: "r"(to), "f"(x), "f"(y), "f"(z), "f"(w), "r"(barrier) : "memory");
}

__device__ __forceinline__ void store_counted(uint32_t to, uint32_t barrier, uint32_t value) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];"
               :: "r"(to), "r"(value), "r"(barrier) : "memory");
}

// Arrives at a block's barrier and says no more than that shared memory has been read: without the fence of the
// one below, which waits for all stores of the thread.
__device__ __forceinline__ void barrier_arrive_read_in(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" :: "r"(barrier) : "memory");
}

// Arrives at a block's barrier; what this thread did or has seen is visible to who waits there by
// barrier_wait_cluster.
__device__ __forceinline__ void barrier_arrive_in(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" :: "r"(barrier) : "memory");
}

// Waits at a barrier of the own block that others arrive at.
__device__ __forceinline__ void barrier_wait_cluster(uint64_t* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" :: "r"(shared_address(barrier)), "r"(parity) : "memory");
}

#endif
