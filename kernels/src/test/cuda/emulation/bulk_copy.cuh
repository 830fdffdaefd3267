// kernels' bulk_copy.cuh, for simt.h.
#pragma once

#include "common.cuh"

inline void barrier_init(uint64_t* barrier, int arrivals) { simt::mbarrier_init(barrier, arrivals); }
inline void barrier_init_done() {}
inline void barrier_arrive(uint64_t* barrier) { simt::mbarrier_arrive(barrier, 0); }
inline void barrier_expect(uint64_t* barrier, int bytes) { simt::mbarrier_arrive(barrier, bytes); }
inline void barrier_arrive_copied(uint64_t* barrier) { simt::arrive_copied(barrier); }
inline void barrier_wait(uint64_t* barrier, int parity) {
  simt::wait_until([=] { return simt::mbarrier_passed(barrier, parity); });
}
inline void copy_bulk(void* shared, const void* global, int bytes, uint64_t* barrier) {
  simt::copy_bulk(shared, global, bytes, barrier);
}
inline void barrier_among(int threads, int number = 1) { simt::barrier_sync(number, threads); }
inline void barrier_say(int threads, int number) { simt::barrier_arrive(number, threads); }
