package io.rollcall.kernels.cuda;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.WeightType;
import java.util.Locale;

/**
 * Normalisation, embedding, prefill's activation, and what tensors need on their way to the device.
 * Buffers are device memory, matrices row-major; hidden is the f32 residual stream, x the f16 input of
 * a product. Work is put on the stream given.
 */
public final class Elementwise {
  private static final int MAX_WIDTH = 16384;
  private static final int THREADS = 256;
  /** What s = act(g) u is kept times, in f16, between the products of a feed-forward. */
  public static final float NEURON_SCALE = 1 / 64f;

  private static final int TILE = 64;

  private final CudaContext context;

  /**
   * Root mean square normalisation.
   *
   * @param weight f32 [width]
   * @param width a multiple of 64, at most 16384
   */
  public record Norm(DeviceBuffer weight, int width, float epsilon) {
    public Norm {
      if (width < 64 || width > MAX_WIDTH || width % 64 != 0) {
        throw new IllegalArgumentException(
            "the width of a norm is a multiple of 64 up to " + MAX_WIDTH + ", not " + width);
      }
    }

    /** float4 a thread holds: 1, 2 or 4. */
    private int vectors() {
      return width <= 4096 ? 1 : width <= 8192 ? 2 : 4;
    }

    private Launch launch(int rows) {
      int threads = (width / 4 + vectors() - 1) / vectors();
      return Launch.of(rows, (threads + 31) / 32 * 32).withOverlap();
    }
  }

  /**
   * What is still to be added to hidden: sums of a product that was split, f32, in order.
   *
   * @param sums [splits][stride], the first rows x width of each split used; null where splits is 0
   * @param stride floats from a split to the next
   */
  public record Partials(DeviceBuffer sums, int splits, long stride) {
    public static final Partials NONE = new Partials(null, 0, 0);
  }

  public Elementwise(CudaContext context) {
    this.context = context;
  }

  /**
   * hidden += partials, and x = norm(hidden).
   *
   * @param hidden [rows x width], written where there are partials
   * @param x [rows x width]
   */
  public void residualNorm(
      CudaStream stream, DeviceBuffer hidden, Partials partials, Norm norm, DeviceBuffer x,
      int rows) {
    stream.launch(
        context.kernel("norm_residual_" + norm.vectors()),
        norm.launch(rows),
        hidden, partials.sums(), partials.splits(), partials.stride(), norm.weight(), x,
        norm.width(), norm.epsilon());
  }

  /**
   * x = norm(hidden + partials) of chosen rows; hidden is left as it is.
   *
   * @param list int32 [rows]: row i of x is row list[i] of hidden and of each split
   */
  public void gatherNorm(
      CudaStream stream, DeviceBuffer list, DeviceBuffer hidden, Partials partials, Norm norm,
      DeviceBuffer x, int rows) {
    stream.launch(
        context.kernel("norm_gather_" + norm.vectors()),
        norm.launch(rows),
        list, hidden, partials.sums(), partials.splits(), partials.stride(), norm.weight(), x,
        norm.width(), norm.epsilon());
  }

  /**
   * The first kernel of a decode step: hidden[b] = table[token of sequence b], x = norm(hidden).
   *
   * @param state a {@link StepState}
   * @param table f16 [vocabulary x width]
   */
  public void embedStep(
      CudaStream stream, DeviceBuffer state, DeviceBuffer table, DeviceBuffer hidden, Norm norm,
      DeviceBuffer x, int rows) {
    embed("norm_embed_step_", stream, state, table, hidden, norm, x, rows);
  }

  /** The same for prefill. @param tokens int32 [rows] */
  public void embedTokens(
      CudaStream stream, DeviceBuffer tokens, DeviceBuffer table, DeviceBuffer hidden, Norm norm,
      DeviceBuffer x, int rows) {
    embed("norm_embed_tokens_", stream, tokens, table, hidden, norm, x, rows);
  }

  private void embed(
      String kernel, CudaStream stream, DeviceBuffer tokens, DeviceBuffer table,
      DeviceBuffer hidden, Norm norm, DeviceBuffer x, int rows) {
    stream.launch(
        context.kernel(kernel + norm.vectors()),
        norm.launch(rows),
        tokens, table, hidden, norm.weight(), x, norm.width(), norm.epsilon());
  }

  /**
   * out = act(gate) * up.
   *
   * @param gateUp f16 [rows x 2 neurons]: a row's gate values, then its up values
   * @param out f16 [rows x neurons], times {@link #NEURON_SCALE}
   * @param neurons a multiple of 8
   */
  public void activateAndMultiply(
      CudaStream stream, Activation activation, DeviceBuffer gateUp, DeviceBuffer out, int rows,
      int neurons) {
    if (neurons % 8 != 0) {
      throw new IllegalArgumentException("neurons must be a multiple of 8, not " + neurons);
    }
    stream.launch(
        context.kernel("activation_multiply"),
        Launch.of(blocks((long) rows * neurons / 8), THREADS).withOverlap(),
        activation.ordinal(), gateUp, out, rows, neurons);
  }

  /**
   * out[c][at + r] = in[r][c] of 16-bit elements: some rows of a tensor that is to be transposed.
   *
   * @param in [rows x columns]
   * @param out [columns x outColumns]
   * @param at column of out that row 0 becomes; like all sizes here, even
   */
  public void transpose(
      CudaStream stream, DeviceBuffer in, int rows, int columns, DeviceBuffer out, int outColumns,
      int at) {
    if (((rows | columns | outColumns | at) & 1) != 0 || at < 0 || at + rows > outColumns) {
      throw new IllegalArgumentException(
          "cannot put " + rows + " x " + columns + " transposed at column " + at + " of "
              + outColumns + ": all must be even and fit");
    }
    Launch launch =
        Launch.of((columns + TILE - 1) / TILE, (rows + TILE - 1) / TILE, THREADS);
    stream.launch(
        context.kernel("transpose_halves"), launch, in, rows, columns, out, outColumns, at);
  }

  /**
   * out = in as f16, rounded to the nearest; may be in place where elements are as wide.
   *
   * @param from F32 or BF16
   * @param n elements
   * @param beyond int [1], set to 1 where a value is beyond 65504, f16's largest, or no number
   */
  public void toF16(
      CudaStream stream, WeightType from, DeviceBuffer in, DeviceBuffer out, long n,
      DeviceBuffer beyond) {
    if (from != WeightType.F32 && from != WeightType.BF16) {
      throw new IllegalArgumentException("no conversion of " + from + " to F16 on the device");
    }
    if (n > 0) {
      int blocks = Math.min(blocks((n + 7) / 8), 1 << 16);
      stream.launch(
          context.kernel("convert_" + lower(from) + "_to_f16"), Launch.of(blocks, THREADS),
          in, out, n, beyond);
    }
  }

  static String lower(WeightType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }

  /** Blocks of 256 threads. */
  static int blocks(long threads) {
    return Math.toIntExact((threads + THREADS - 1) / THREADS);
  }
}
