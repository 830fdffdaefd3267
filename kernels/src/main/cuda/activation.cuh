// The activation of a gated MLP's gate. Kinds are the ordinals of io.rollcall.kernels.Activation;
// a kernel branches on a kind that is the same for its whole grid.
#pragma once

enum ActivationKind : int { kSilu = 0, kGeluTanh = 1, kRelu = 2 };

// x * sigmoid(x) and x * sigmoid(2z) are one form; 0.5 (1 + tanh(z)) = sigmoid(2z). Where the
// exponential overflows the quotient is -0, its limit. Within 4 ulp of the f32 value.
__device__ __forceinline__ float activate(int kind, float x) {
  if (kind == kRelu) return fmaxf(x, 0.0f);
  float z = kind == kGeluTanh ? 1.5957691216057308f * (x + 0.044715f * x * x * x) : x;
  return __fdividef(x, 1.0f + __expf(-z));
}
