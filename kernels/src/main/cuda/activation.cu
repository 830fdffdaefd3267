// Prefill's activation, s = act(g) * u, of the joined gate and up product, times kNeuronScale.
//
// Shapes: in f16 [n x 2f], a row holds f gate values, then f up values; out f16 [n x f]. f is a
// multiple of 8. Bytes: 6f a row. Arithmetic in f32, rounded once.
#include "activation.cuh"
#include "common.cuh"

namespace {

__device__ __forceinline__ uint32_t activated_pair(int kind, uint32_t gate, uint32_t up) {
  const float2 g = unpack_f16(gate), u = unpack_f16(up);
  return pack_f16(activate(kind, g.x) * u.x * kNeuronScale, activate(kind, g.y) * u.y * kNeuronScale);
}

}  // namespace

// Grid: n * f / 8 threads, one for eight neurons of a row.
extern "C" __global__ void __launch_bounds__(256) activation_multiply(int kind, const f16* in, f16* out, int n, int f) {
  depend_release();
  depend_wait();
  const int per_row = f / 8;
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(n) * per_row) return;
  const long long row = i / per_row;
  const uint4* gates = reinterpret_cast<const uint4*>(in) + row * 2 * per_row + (i - row * per_row);
  const uint4 gate = gates[0];
  const uint4 up = gates[per_row];
  reinterpret_cast<uint4*>(out)[i] =
      make_uint4(activated_pair(kind, gate.x, up.x), activated_pair(kind, gate.y, up.y),
                 activated_pair(kind, gate.z, up.z), activated_pair(kind, gate.w, up.w));
}
