package io.rollcall.kernels;

/** Activation of a gated MLP's gate, named as in a Hugging Face config's {@code hidden_act}. */
public enum Activation {
  /** x * sigmoid(x). */
  SILU,
  /** 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
  GELU_TANH,
  /** max(x, 0). */
  RELU
}
