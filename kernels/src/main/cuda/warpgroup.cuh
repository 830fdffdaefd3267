// Tensor-core products of a warpgroup (four warps, the first a multiple of four), on sm_90a alone:
//
//   d[64 x N] += a[64 x 16] b[16 x N]     f16 in, f32 sums, N = 32 or 64
//
// Warp w of the four has rows 16 w to 16 w + 15 of a and d, in registers: a as multiply_16x8x16 has it, and
// d[4 j] to d[4 j + 3] as its d of columns 8 j to 8 j + 7. b lies in shared memory in one of two ways:
//
//   WgmmaRows     N rows of 128 bytes (64 f16), b's columns, 1024-byte aligned, the 16-byte piece p of row n
//                 at place p ^ (n & 7). A product takes 16 f16 of each.
//   WgmmaColumns  b as it is, rows of N f16, 1024-byte aligned, the pieces of row k swizzled as place() has
//                 it. A product takes 16 rows.
//
// Products run on after they are asked for. Registers of a and d are left alone until wait says so.
#pragma once

#include "wgmma_operands.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// What was written to shared memory before, or seen through a barrier, is there for products of this thread
// and for those that others ask for after a barrier.
__device__ __forceinline__ void wgmma_writes_done() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Before products whose registers were touched since the last.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until at most kPending committed groups still run.
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(kPending) : "memory");
}

// Keeps the compiler from moving what it does with sums across.
template <int kSums>
__device__ __forceinline__ void wgmma_pin(float (&d)[kSums]) {
#pragma unroll
  for (int i = 0; i < kSums; i++) asm volatile("" : "+f"(d[i]) :: "memory");
}

// d += a b. kTransposed: b is WgmmaColumns. All of d is zero, or wgmma_pin()ned, before the first.
template <int kTransposed = 0>
__device__ __forceinline__ void wgmma(float (&d)[16], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "mov.pred add, 1;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
      "{%16, %17, %18, %19}, %20, add, 1, 1, %21;\n"
      "}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]),
        "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kTransposed));
}

template <int kTransposed = 0>
__device__ __forceinline__ void wgmma(float (&d)[32], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "mov.pred add, 1;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "{%32, %33, %34, %35}, %36, add, 1, 1, %37;\n"
      "}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]),
        "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]),
        "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]),
        "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kTransposed));
}

#endif
