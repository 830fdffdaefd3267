// What recovers quality where a layer's step drops rows: one more summand of the layer's output,
//
//   y[b][i] = c[bucket][i] + m[b][i]   where rows were dropped, 0 where the layer ran dense,
//
// m = U (V x), which two products of the decode step have left in y, or nothing. A sequence under union
// `own` drops rows past the crossover too (`always`).
//
//   bias f32 [buckets][d], y f32 [batch][d]; d a multiple of 4
//
// Bytes: 4d of bias, 4d of y a sequence, read where there is a map, and written; all in L2.
//
// Launch: ceil(d / 1024) x batch blocks, 256 threads.
#include "common.cuh"
#include "step_state.cuh"

extern "C" __global__ void __launch_bounds__(256)
correction_add(const float* bias, int mapped, const StepState* state, const int* records, int layer, int layers,
               int always, int d, float* y) {
  depend_release();
  depend_wait();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (4 * i >= d) return;
  float4* to = reinterpret_cast<float4*>(y + static_cast<size_t>(blockIdx.y) * d) + i;
  float4 sum = make_float4(0, 0, 0, 0);
  if (always || !ran_dense(state, records, layer, layers)) {
    sum = reinterpret_cast<const float4*>(bias + static_cast<size_t>(state->bucket) * d)[i];
    if (mapped) {
      const float4 map = *to;
      sum = make_float4(sum.x + map.x, sum.y + map.y, sum.z + map.z, sum.w + map.w);
    }
  }
  *to = sum;
}
