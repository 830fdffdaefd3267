// What every kernel file shares: f16, asynchronous copies, tensor-core fragments, programmatic
// dependent launch, reductions. Instructions newer than sm_80 are guarded where they stand.
#pragma once

#include <cstdint>
#include <cuda_fp16.h>

typedef __half f16;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// ---- f16 -----------------------------------------------------------------------------------------

// Activations and 16-bit weights are f16: eleven bits of a value where bf16 has eight, at the same bytes.
// What a sparse feed-forward sums over, s = act(g) u, is not bounded by a norm and is kept as s times
// kNeuronScale, so that 4e6 is its largest.
constexpr float kNeuronScale = 1.0f / 64;

__device__ __forceinline__ float to_float(f16 value) { return __half2float(value); }

// Two values in the halves of a word, low half first; to nearest even, beyond 65504 that value.
__device__ __forceinline__ uint32_t pack_f16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ __forceinline__ f16 to_f16(float value) {
  return __ushort_as_half(static_cast<unsigned short>(pack_f16(value, 0.0f)));
}

// s of a neuron, as kept.
__device__ __forceinline__ f16 to_neuron(float s) { return to_f16(s * kNeuronScale); }

__device__ __forceinline__ float2 unpack_f16(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}
__device__ __forceinline__ float low_f16(uint32_t pair) { return unpack_f16(pair).x; }
__device__ __forceinline__ float high_f16(uint32_t pair) { return unpack_f16(pair).y; }

// Pairs, halves of words.
__device__ __forceinline__ uint32_t subtract_f16x2(uint32_t a, uint32_t b) {
  const __half2 r = __hsub2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&r);
}

__device__ __forceinline__ uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
  const __half2 r = __hmul2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&r);
}

// a b + c
__device__ __forceinline__ uint32_t fuse_f16x2(uint32_t a, uint32_t b, uint32_t c) {
  const __half2 r = __hfma2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b),
                            *reinterpret_cast<const __half2*>(&c));
  return *reinterpret_cast<const uint32_t*>(&r);
}

// The same f16 twice: the low half of two, the high, or one alone. The instruction that takes it does it.
__device__ __forceinline__ uint32_t low_twice(uint32_t halves) {
  uint32_t r;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; mov.b32 %0, {low, low}; }" : "=r"(r) : "r"(halves));
  return r;
}

__device__ __forceinline__ uint32_t high_twice(uint32_t halves) {
  uint32_t r;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; mov.b32 %0, {high, high}; }" : "=r"(r) : "r"(halves));
  return r;
}

__device__ __forceinline__ uint32_t twice(uint16_t half) {
  uint32_t r;
  asm("mov.b32 %0, {%1, %1};" : "=r"(r) : "h"(half));
  return r;
}

// The bits of the mask, or-ed or xor-ed with others: one instruction, where the compiler, which has room for
// one constant, makes two.
template <uint32_t kMask, uint32_t kBits>
__device__ __forceinline__ uint32_t masked_or(uint32_t value) {
  uint32_t r;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(value), "n"(kMask), "n"(kBits));
  return r;
}

template <uint32_t kMask, uint32_t kBits>
__device__ __forceinline__ uint32_t masked_xor(uint32_t value) {
  uint32_t r;
  asm("lop3.b32 %0, %1, %2, %3, 0x6a;" : "=r"(r) : "r"(value), "n"(kMask), "n"(kBits));
  return r;
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// ---- cp.async: global to shared, 16-byte aligned on both sides --------------------------------------

// Through L2 only, as weights and keys that are read once want it.
__device__ __forceinline__ void copy_async16(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;"
               :: "r"(shared_address(shared)), "l"(global) : "memory");
}

// The same where the 16 bytes' neighbours are asked for soon: L2 gets them in pairs of lines.
__device__ __forceinline__ void copy_async16_lines(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;"
               :: "r"(shared_address(shared)), "l"(global) : "memory");
}

// Copies 16 bytes, or writes 16 zero bytes and reads nothing where `valid` is false.
__device__ __forceinline__ void copy_async16_or_zero(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
               :: "r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}

// 4 or 8 bytes: through L1, aligned to their size.
template <int kBytes>
__device__ __forceinline__ void copy_async_small(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 8, "cp.async.ca here copies 4 or 8 bytes");
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;"
               :: "r"(shared_address(shared)), "l"(global), "n"(kBytes) : "memory");
}

// cp.async of 4 bytes, or 4 zero bytes.
__device__ __forceinline__ void copy_async4_or_zero(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
               :: "r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}

__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most kPending of this thread's committed groups are still in flight. Other threads'
// copies are visible only after a barrier that follows.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" :: "n"(kPending) : "memory");
}

// ---- tensor cores ----------------------------------------------------------------------------------

// Four 8 x 8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8
// (16 bytes, 16-byte aligned). In result r, lane i holds elements 2 (i % 4), +1 of row i / 4 of matrix r.
__device__ __forceinline__ void load_matrix4(uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared_row)) : "memory");
}

// The same, each matrix transposed on the way.
__device__ __forceinline__ void load_matrix4_transposed(uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared_row)) : "memory");
}

// Two matrices, transposed; lanes 0 to 15 give the addresses.
__device__ __forceinline__ void load_matrix2_transposed(uint32_t (&r)[2], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(shared_row)) : "memory");
}

// d[16 x 8] += a[16 x 16] b[16 x 8], f16 in, f32 sums. With g = lane / 4 and t = lane % 4:
//   a[0]: row g,     columns 2t, 2t+1      b[0]: rows 2t, 2t+1,   column g
//   a[1]: row g + 8, columns 2t, 2t+1      b[1]: rows 2t+8, 2t+9, column g
//   a[2]: row g,     columns 2t+8, 2t+9    d[0], d[1]: row g,     columns 2t, 2t+1
//   a[3]: row g + 8, columns 2t+8, 2t+9    d[2], d[3]: row g + 8, columns 2t, 2t+1
__device__ __forceinline__ void multiply_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// ---- programmatic dependent launch -----------------------------------------------------------------

// Waits until the kernels before this one have ended and what they wrote is visible. Returns at once
// in a kernel that was launched without overlap.
__device__ __forceinline__ void depend_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets the next kernel of the stream start once every block of this one has said so or ended.
// Promises nothing about memory: the next kernel's depend_wait() does.
__device__ __forceinline__ void depend_release() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// What another block wrote before it added to this is visible afterwards.
__device__ __forceinline__ int load_acquire(const int* from) {
  int value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

// ---- what the compiler does not see ----------------------------------------------------------------

// The value in a register of its own, where the compiler would compute it again at every use.
__device__ __forceinline__ int kept(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// What is the same in all lanes, so that the compiler knows it: what depends on it goes through uniform
// registers, and a branch on it needs no care for lanes that go the other way.
template <class Value>
__device__ __forceinline__ Value warp_uniform(Value value) {
  return __shfl_sync(kAllLanes, value, 0);
}

// ---- reductions ------------------------------------------------------------------------------------

// Every lane of the warp gets the result.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

__device__ __forceinline__ int warp_sum(int value) { return __reduce_add_sync(kAllLanes, value); }

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}

// The number of smaller lanes whose predicate holds, and in `total` of all.
__device__ __forceinline__ int warp_rank(bool predicate, int& total) {
  const unsigned votes = __ballot_sync(kAllLanes, predicate);
  total = __popc(votes);
  unsigned below;
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(below));
  return __popc(votes & below);
}

// Every thread of a one-dimensional block of whole warps, at most 1024 threads, gets the result.
// `scratch` is shared memory of 32 elements; it is free again when the call returns.
__device__ __forceinline__ float block_sum(float value, float* scratch) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warp_sum(lane < warps ? scratch[lane] : 0.0f);
  __syncthreads();
  return value;
}

__device__ __forceinline__ int block_sum(int value, int* scratch) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warp_sum(lane < warps ? scratch[lane] : 0);
  __syncthreads();
  return value;
}

__host__ __device__ constexpr int divide_up(int value, int by) { return (value + by - 1) / by; }
