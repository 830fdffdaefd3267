// The bulk copy engine of sm_90: one thread moves a run of bytes from global to shared memory, and an
// mbarrier in shared memory counts them in. Runs are multiples of 16 bytes, 16-byte aligned on both
// sides. Nothing here exists below sm_90.
#pragma once

#include "common.cuh"

#if __CUDA_ARCH__ >= 900

__device__ __forceinline__ void barrier_init(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// Makes initialised barriers visible to the copy engine; a block barrier must follow.
__device__ __forceinline__ void barrier_init_done() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(shared_address(barrier)) : "memory");
}

// Arrives, and makes the barrier's phase wait for so many bytes more.
__device__ __forceinline__ void barrier_expect(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               :: "r"(shared_address(barrier)), "r"(bytes) : "memory");
}

// Arrives as soon as all cp.async that this thread has asked for so far are in.
__device__ __forceinline__ void barrier_arrive_copied(uint64_t* barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" :: "r"(shared_address(barrier)) : "memory");
}

// Waits for the end of the phase of this parity.
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" :: "r"(shared_address(barrier)), "r"(parity) : "memory");
}

__device__ __forceinline__ void copy_bulk(void* shared, const void* global, int bytes, uint64_t* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
               :: "r"(shared_address(shared)), "l"(global), "r"(bytes), "r"(shared_address(barrier)) : "memory");
}

// The block's barriers of hardware, `number` 1 to 15, among `threads` threads, whole warps: these wait for all
// to come, or only say that they have come.
__device__ __forceinline__ void barrier_among(int threads, int number = 1) {
  asm volatile("bar.sync %1, %0;" :: "r"(threads), "r"(number) : "memory");
}
__device__ __forceinline__ void barrier_say(int threads, int number) {
  asm volatile("bar.arrive %1, %0;" :: "r"(threads), "r"(number) : "memory");
}

#endif
