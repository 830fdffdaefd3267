// Root mean square normalisation, with the residual sum or the embedding look-up before it:
//
//   h[i] = hidden[i] + partial[0][i] + partial[1][i] + ...   (in this order)
//   x[i] = h[i] / sqrt(mean(h^2) + epsilon) * weight[i]      (f32, rounded to f16 once)
//
// One block a row, which stays in the block's registers between the two lines; threads x kVectors x 4
// elements cover d (a multiple of 64, at most 16384). At one row the kernel is nothing but latency,
// so a thread asks for all it needs before it uses any of it.
//
// Bytes a row: hidden 4d read and, where it changed, 4d written; partials 4d each; x 2d; weight 4d,
// from L2 after the first row.
#include "common.cuh"
#include "step_state.cuh"

namespace {

struct Row {
  const float* weight;  // [d]
  f16* x;              // [d] of this row
  int d;
  float epsilon;
};

// Loads of the weight are left to the end where a row takes four vectors a thread: 1024 threads have
// 64 registers each.
template <int kVectors>
constexpr bool kWeightEarly = kVectors <= 2;

__device__ __forceinline__ bool in_row(int vector, int d) { return 4 * vector < d; }

template <int kVectors>
__device__ __forceinline__ int vector_of(int v) { return v * blockDim.x + threadIdx.x; }

// Not through the read-only path (.nc): the assembler moves such a load down behind depend_wait().
__device__ __forceinline__ float4 load_early(const float4* from) {
  float4 v;
  asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(from));
  return v;
}

// Weights are never written: read before the kernels in front have ended.
template <int kVectors>
__device__ __forceinline__ void load_weight(const Row& row, float4 (&weight)[kVectors]) {
  const float4* from = reinterpret_cast<const float4*>(row.weight);
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    const int i = vector_of<kVectors>(v);
    if (in_row(i, row.d)) weight[v] = load_early(from + i);
  }
}

// h: this thread's elements, zero beyond the row.
template <int kVectors>
__device__ __forceinline__ void normalise(const Row& row, const float4 (&h)[kVectors], float4 (&weight)[kVectors]) {
  __shared__ float scratch[kWarp];
  float squares = 0.0f;
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    squares += (h[v].x * h[v].x + h[v].y * h[v].y) + (h[v].z * h[v].z + h[v].w * h[v].w);
  }
  if (!kWeightEarly<kVectors>) load_weight<kVectors>(row, weight);
  const float factor = rsqrtf(__fdividef(block_sum(squares, scratch), row.d) + row.epsilon);
  uint2* to = reinterpret_cast<uint2*>(row.x);
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    const int i = vector_of<kVectors>(v);
    if (in_row(i, row.d)) {
      to[i] = make_uint2(pack_f16(h[v].x * factor * weight[v].x, h[v].y * factor * weight[v].y),
                         pack_f16(h[v].z * factor * weight[v].z, h[v].w * factor * weight[v].w));
    }
  }
}

__device__ __forceinline__ void add(float4& to, const float4& value) {
  to.x += value.x;
  to.y += value.y;
  to.z += value.z;
  to.w += value.w;
}

// h += partial[0] + ... + partial[kSplits - 1], all loads in flight together. Threads beyond the row read
// its last vector, so that no load waits for a branch.
template <int kVectors, int kSplits>
__device__ __forceinline__ void add_partials(const float* partial, long long split_stride, int d, float4 (&h)[kVectors]) {
  float4 part[kSplits][kVectors];
#pragma unroll
  for (int s = 0; s < kSplits; s++) {
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
      part[s][v] = reinterpret_cast<const float4*>(partial + s * split_stride)[min(vector_of<kVectors>(v), d / 4 - 1)];
    }
  }
#pragma unroll
  for (int s = 0; s < kSplits; s++) {
#pragma unroll
    for (int v = 0; v < kVectors; v++) add(h[v], part[s][v]);
  }
}

// hidden, and this row of partial: of the row that is normalised. Elements beyond the row become zero.
template <int kVectors>
__device__ __forceinline__ void load_residual(const float* hidden, const float* partial, int splits,
                                              long long split_stride, int d, float4 (&h)[kVectors]) {
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    h[v] = reinterpret_cast<const float4*>(hidden)[min(vector_of<kVectors>(v), d / 4 - 1)];
  }
  constexpr int kMost = 8 / kVectors;
#pragma unroll 1
  for (; splits >= kMost; splits -= kMost, partial += kMost * split_stride) {
    add_partials<kVectors, kMost>(partial, split_stride, d, h);
  }
  if (kMost > 4 && splits >= 4) {
    add_partials<kVectors, 4>(partial, split_stride, d, h);
    partial += 4 * split_stride;
    splits -= 4;
  }
  if (kMost > 2 && splits >= 2) {
    add_partials<kVectors, 2>(partial, split_stride, d, h);
    partial += 2 * split_stride;
    splits -= 2;
  }
  if (splits > 0) add_partials<kVectors, 1>(partial, split_stride, d, h);
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    if (!in_row(vector_of<kVectors>(v), d)) h[v] = make_float4(0, 0, 0, 0);
  }
}

template <int kVectors>
__device__ __forceinline__ void store_hidden(float* hidden, int d, const float4 (&h)[kVectors]) {
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    const int i = vector_of<kVectors>(v);
    if (in_row(i, d)) reinterpret_cast<float4*>(hidden)[i] = h[v];
  }
}

// hidden [n x d] in and out, partial [splits][split_stride], of which row r begins at r * d.
template <int kVectors>
__device__ __forceinline__ void residual(float* hidden, const float* partial, int splits, long long split_stride,
                                         Row row) {
  depend_release();
  float4 h[kVectors], weight[kVectors];
  if (kWeightEarly<kVectors>) load_weight<kVectors>(row, weight);
  depend_wait();
  const long long at = static_cast<long long>(blockIdx.x) * row.d;
  load_residual<kVectors>(hidden + at, partial + at, splits, split_stride, row.d, h);
  if (splits > 0) store_hidden<kVectors>(hidden + at, row.d, h);
  row.x += at;
  normalise<kVectors>(row, h, weight);
}

// x[r] from row rows[r] of hidden and partial; hidden is not written.
template <int kVectors>
__device__ __forceinline__ void gather(const int* rows, const float* hidden, const float* partial, int splits,
                                       long long split_stride, Row row) {
  depend_release();
  float4 h[kVectors], weight[kVectors];
  if (kWeightEarly<kVectors>) load_weight<kVectors>(row, weight);
  depend_wait();
  const long long at = static_cast<long long>(rows[blockIdx.x]) * row.d;
  load_residual<kVectors>(hidden + at, partial + at, splits, split_stride, row.d, h);
  row.x += static_cast<long long>(blockIdx.x) * row.d;
  normalise<kVectors>(row, h, weight);
}

// hidden[r] = table[tokens[r]], then as above. tokens is written by the kernel in front.
template <int kVectors>
__device__ __forceinline__ void embed(const int* tokens, const f16* table, float* hidden, Row row) {
  depend_release();
  float4 h[kVectors], weight[kVectors];
  if (kWeightEarly<kVectors>) load_weight<kVectors>(row, weight);
  depend_wait();
  const uint2* from = reinterpret_cast<const uint2*>(table + static_cast<long long>(tokens[blockIdx.x]) * row.d);
#pragma unroll
  for (int v = 0; v < kVectors; v++) {
    const int i = vector_of<kVectors>(v);
    const uint2 four = in_row(i, row.d) ? __ldg(from + i) : make_uint2(0, 0);
    h[v] = make_float4(low_f16(four.x), high_f16(four.x), low_f16(four.y), high_f16(four.y));
  }
  const long long at = static_cast<long long>(blockIdx.x) * row.d;
  store_hidden<kVectors>(hidden + at, row.d, h);
  row.x += at;
  normalise<kVectors>(row, h, weight);
}

}  // namespace

// Grid: n. Threads: d / 4 / V rounded up to whole warps. V is the number of float4 a thread holds.
#define NORM_KERNELS(V)                                                                                         \
  extern "C" __global__ void __launch_bounds__(1024, 1) norm_residual_##V(                                         \
      float* hidden, const float* partial, int splits, long long split_stride, const float* weight, f16* x,    \
      int d, float epsilon) {                                                                                   \
    residual<V>(hidden, partial, splits, split_stride, Row{weight, x, d, epsilon});                             \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(1024, 1) norm_gather_##V(                                           \
      const int* rows, const float* hidden, const float* partial, int splits, long long split_stride,           \
      const float* weight, f16* x, int d, float epsilon) {                                                     \
    gather<V>(rows, hidden, partial, splits, split_stride, Row{weight, x, d, epsilon});                         \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(1024, 1) norm_embed_tokens_##V(                                     \
      const int* tokens, const f16* table, float* hidden, const float* weight, f16* x, int d,                 \
      float epsilon) {                                                                                          \
    embed<V>(tokens, table, hidden, Row{weight, x, d, epsilon});                                                \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(1024, 1) norm_embed_step_##V(                                       \
      const StepState* state, const f16* table, float* hidden, const float* weight, f16* x, int d,            \
      float epsilon) {                                                                                          \
    embed<V>(state->token, table, hidden, Row{weight, x, d, epsilon});                                          \
  }

NORM_KERNELS(1)
NORM_KERNELS(2)
NORM_KERNELS(4)
