package io.rollcall.kernels.cuda;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.WeightType;
import java.util.Arrays;
import java.util.Locale;

/**
 * The gated MLP of a decode step, dense or over the rows that the batch calls, without the host:
 * scores, thresholds, union, gathered products and the sum of the union's rows follow each other on
 * the stream, and kernels read counts where the ones before them left them (held.cu, held_predicted.cu,
 * wide.cu, feed_forward.cu, select.cu, and those of {@link UnionSum}). Belongs to one stream.
 */
public final class DecodeFeedForward implements AutoCloseable {
  private static final int NO_ACTIVATION = -1;
  /** kFold of feed_forward.cu. */
  private static final int FOLD = -2;
  private static final int TOTALS_BLOCKS = 64;
  private static final String PAIRED = "paired_scores";

  /** What calls neurons. */
  public enum Scores {
    /** Nothing: all rows, always. */
    NONE,
    /** act(W_gate x): CATS, arXiv 2404.08763. */
    GATE,
    /** W_up x: M-COUNTDOWN, arXiv 2505.17701. */
    UP,
    /** act(W_gate x) * W_up x: the oracles. */
    BOTH,
    /** A low-rank predictor's logit: D-COUNTDOWN. */
    PREDICTOR
  }

  /**
   * A layer's weights.
   *
   * @param gateUp [2f x d]: gate's rows, then up's
   * @param down [f x d], the transposed down projection
   * @param rowScale f32 [f] factors of the scores, or null
   * @param predictorA [k x d], or null
   * @param predictorB [f x k], or [2f x k] with the fold below; of predictorA's type; or null
   */
  public record Layer(
      DeviceMatrix gateUp,
      DeviceMatrix down,
      DeviceBuffer rowScale,
      DeviceMatrix predictorA,
      DeviceMatrix predictorB) {

    public int intermediate() {
      return down.rows();
    }

    /** Whether the predictor's logits are l + |m|. */
    boolean folded() {
      return predictorB.rows() == 2 * intermediate();
    }
  }

  /**
   * How neurons are called.
   *
   * @param own whether a sequence uses only the rows it called itself
   * @param mostRows rows of a budget, or f for none
   * @param thresholds f32 [buckets x layers]
   * @param denseFrom int [buckets], union rows from which a layer runs dense; more than f for never. Where
   *     calls and the products that follow from them are one kernel, the layer's union of the step before
   *     decides
   */
  public record Rule(
      Scores scores,
      boolean own,
      int mostRows,
      DeviceBuffer thresholds,
      DeviceBuffer denseFrom) {

    public static Rule dense() {
      return new Rule(Scores.NONE, false, Integer.MAX_VALUE, null, null);
    }
  }

  /**
   * One step of one layer.
   *
   * @param index of the layer
   * @param x f16 [batch x d]
   * @param state a {@link StepState}
   * @param records int [steps x layers x RECORD_STRIDE], zero before the step, and in the same memory
   *     before them those of the step before; may be null for dense
   * @param y f32 [splits(batch) x batch x d], summands of the output
   */
  public record Call(
      Layer layer,
      int index,
      int layers,
      Rule rule,
      DeviceBuffer x,
      int batch,
      DeviceBuffer state,
      DeviceBuffer records,
      DeviceBuffer y) {}

  private final CudaContext context;
  private final DecodeProducts products;
  private final int hidden;
  private final int intermediate;
  private final int activation;
  private final int multiprocessors;
  private final DeviceBuffer scores;
  private final DeviceBuffer union;
  private final DeviceBuffer coefficients;
  private final DeviceBuffer predicted;
  private final DeviceBuffer totals;
  private final DeviceBuffer energies;
  private final UnionSum sum;

  /** @param products whose scratch is shared; made for at least 2f rows */
  public DecodeFeedForward(
      DeviceMemory memory,
      DecodeProducts products,
      int hidden,
      int intermediate,
      Activation activation,
      int mostBatch) {
    if (intermediate > DecodeShapes.MOST_INTERMEDIATE) {
      throw new IllegalArgumentException(
          "intermediate size " + intermediate + "; the device kernels take up to "
              + DecodeShapes.MOST_INTERMEDIATE);
    }
    context = memory.context();
    this.products = products;
    this.hidden = hidden;
    this.intermediate = intermediate;
    this.activation = activation.ordinal();
    this.multiprocessors = context.device().multiprocessors();
    long tile = DecodeShapes.tile(mostBatch);
    scores = memory.allocate("feed-forward scores", 4 * tile * intermediate);
    union = memory.allocate("feed-forward union", intermediate / 8);
    coefficients = memory.allocate("feed-forward coefficients", 2 * tile * intermediate);
    predicted = memory.allocate("predictor's hidden", 2 * tile * intermediate);
    totals = memory.allocate("scores' energy", 4 * tile * TOTALS_BLOCKS);
    energies = memory.allocate("rows' energy", 4L * intermediate);
    sum = new UnionSum(context, hidden, intermediate);
  }

  /** Summands of the output. */
  public int splits(int batch) {
    return sum.splits(batch);
  }

  /** The scores of the last step, f32 [f x batch tile]: for calibration. */
  public DeviceBuffer scores() {
    return scores;
  }

  /** The batch tile that scores of a step are laid out by. */
  public static int tile(int batch) {
    return DecodeShapes.tile(batch);
  }

  /** Puts the step on the stream. */
  public void step(CudaStream stream, Call call) {
    Rule rule = call.rule();
    if (rule.scores() == Scores.NONE) {
      gateUp(stream, call, null);
      sum.step(stream, call, coefficients, null, 0);
      return;
    }
    int sayers = calledAtOnce(stream, call);
    if (sayers == 0) {
      score(stream, call);
      sayers = coefficients(stream, call);
    }
    sum.step(stream, call, coefficients, union, sayers);
  }

  /** The step's scores and union alone: what calibration observes. */
  public void score(CudaStream stream, Call call) {
    if (!streamed(call) || wideUnion(stream, call, pair(call), true) == 0) {
      scoreRows(stream, call);
    }
    if (call.rule().mostRows() < intermediate) {
      trim(stream, call);
    }
  }

  private void scoreRows(CudaStream stream, Call call) {
    Layer layer = call.layer();
    int f = intermediate;
    switch (call.rule().scores()) {
      case GATE -> score(stream, call, "scores", layer.gateUp().rowRange(0, f), call.x(), activation);
      case UP -> score(stream, call, "scores", layer.gateUp().rowRange(f, f), call.x(), NO_ACTIVATION);
      case BOTH -> score(stream, call, PAIRED, layer.gateUp(), call.x(), activation);
      case PREDICTOR -> {
        predict(stream, call);
        if (layer.folded()) {
          score(stream, call, PAIRED, layer.predictorB(), predicted, FOLD);
        } else {
          score(stream, call, "scores", layer.predictorB(), predicted, NO_ACTIVATION);
        }
      }
      case NONE -> throw new IllegalArgumentException("dense has no scores");
    }
  }

  private void score(
      CudaStream stream, Call call, String kernel, DeviceMatrix weights, DeviceBuffer x, int activated) {
    int tile = DecodeShapes.tile(call.batch());
    int rows = DecodeShapes.rows(weights.type(), tile);
    int perBlock = kernel.equals(PAIRED) ? rows / 2 : rows;
    int tiles = DecodeShapes.ceil(intermediate, perBlock);
    int splits = products.splits(tiles, DecodeShapes.steps(weights));
    launch(
        stream, kernel, weights, tile, tiles, splits,
        product(weights, x, call.batch()), calls(call), activated, scores, union);
  }

  private void trim(CudaStream stream, Call call) {
    int tile = DecodeShapes.tile(call.batch());
    DeviceBuffer thresholds = call.rule().thresholds();
    DeviceBuffer scale = call.layer().rowScale();
    int logits = call.rule().scores() == Scores.PREDICTOR ? 1 : 0;
    stream.launch(
        context.kernel("energy_totals"), Launch.of(TOTALS_BLOCKS, 256).withOverlap(),
        scores, intermediate, tile, call.state(), thresholds, scale, call.index(), call.layers(), logits,
        totals);
    stream.launch(
        context.kernel("energy"), Launch.of(DecodeShapes.ceil(intermediate, 128), 128).withOverlap(),
        scores, intermediate, tile, call.batch(), call.state(), thresholds, scale, call.index(),
        call.layers(), logits, totals, TOTALS_BLOCKS, energies);
    stream.launch(
        context.kernel("trim_union"), Launch.of(1, 1024).withOverlap(),
        energies, intermediate, call.rule().mostRows(), union);
  }

  /** @return how many say when they know the union, which they do from their beginning */
  private int coefficients(CudaStream stream, Call call) {
    int f = intermediate;
    DeviceMatrix gateUp = call.layer().gateUp();
    return switch (call.rule().scores()) {
      case GATE -> gathered(stream, call, gateUp.rowRange(f, f), NO_ACTIVATION);
      case UP -> gathered(stream, call, gateUp.rowRange(0, f), activation);
      case PREDICTOR -> gateUp(stream, call, union);
      default -> {
        stream.launch(
            context.kernel("gather_scores"), Launch.of(DecodeShapes.ceil(f, 32), 256).withOverlap(),
            scores, f, DecodeShapes.tile(call.batch()), call.batch(),
            Arrays.copyOf(calls(call), 7), call.rule().own() ? 1 : 0, union, coefficients);
        yield 0;
      }
    };
  }

  private int gathered(CudaStream stream, Call call, DeviceMatrix weights, int activated) {
    int tile = DecodeShapes.tile(call.batch());
    if (wideGathered(stream, call, weights)) {
      return 1;
    }
    int tiles = DecodeShapes.ceil(intermediate, DecodeShapes.rows(weights.type(), tile));
    launch(
        stream, "gathered", weights, tile, Math.max(tiles, 2 * multiprocessors), 1,
        product(weights, call.x(), call.batch()), calls(call), activated, call.rule().own() ? 1 : 0,
        scores, union, coefficients);
    return 0;
  }

  /**
   * @param bits the union, or null for all rows
   * @return as {@link #coefficients}
   */
  private int gateUp(CudaStream stream, Call call, DeviceBuffer bits) {
    int tile = DecodeShapes.tile(call.batch());
    DeviceMatrix weights = call.layer().gateUp();
    if (bits == null && products.held(weights, call.batch())) {
      stream.launch(
          context.kernel(DecodeShapes.kernel("held_gate_up", weights.type(), tile)),
          products.heldLaunch(weights, tile, intermediate / 8),
          weights.elements(), weights.scales(), call.x(), intermediate, weights.columns(),
          call.batch(), call.state(), activation, coefficients);
      return 0;
    }
    if (bits == null) {
      WideShape wide = products.wide("wide_gate_up", weights, call.batch(), intermediate / 8);
      if (wide != null) {
        products.launchWide(
            stream, wide, "wide_gate_up", weights, call.x(), intermediate, call.batch(), call.state(),
            activation, coefficients);
        return 0;
      }
    } else if (wideGathered(stream, call, weights)) {
      return 1;
    }
    int tiles = DecodeShapes.ceil(intermediate, DecodeShapes.rows(weights.type(), tile) / 2);
    launch(
        stream, "gate_up", weights, tile, Math.max(tiles, 2 * multiprocessors), 1,
        product(weights, call.x(), call.batch()), calls(call), activation, call.rule().own() ? 1 : 0,
        scores, bits, coefficients);
    return 0;
  }

  /**
   * The two products of a sparse step.
   *
   * @param first the scores' rows
   * @param firstX what it multiplies; of the second it is the call's
   * @param second the other matrix, or gate and up
   * @param activated whether the scores are
   * @param kind enum Second of epilogues.cuh
   */
  private record Pair(
      DeviceMatrix first, DeviceBuffer firstX, DeviceMatrix second, boolean activated, int kind) {}

  private Pair pair(Call call) {
    DeviceMatrix gateUp = call.layer().gateUp();
    DeviceMatrix gate = gateUp.rowRange(0, intermediate);
    DeviceMatrix up = gateUp.rowRange(intermediate, intermediate);
    return switch (call.rule().scores()) {
      case UP -> new Pair(up, call.x(), gate, false, 0);
      case GATE -> new Pair(gate, call.x(), up, true, 1);
      case PREDICTOR -> new Pair(call.layer().predictorB(), predicted, gateUp, false, 2);
      default -> throw new IllegalArgumentException(call.rule().scores() + " has no two products");
    };
  }

  /**
   * Calls and coefficients in one kernel, where it can.
   *
   * @return its blocks or clusters, which say when they know the union; 0 where it cannot
   */
  private int calledAtOnce(CudaStream stream, Call call) {
    Rule rule = call.rule();
    if (rule.scores() == Scores.BOTH || rule.mostRows() < intermediate) {
      return 0;
    }
    int blocks =
        rule.scores() == Scores.PREDICTOR ? heldPredicted(stream, call) : heldUnion(stream, call);
    return blocks == 0 && streamed(call) ? wideUnion(stream, call, pair(call), false) : blocks;
  }

  /** Whether wide.cu knows such scores: one row a neuron, and of a predictor f16. */
  private static boolean streamed(Call call) {
    return switch (call.rule().scores()) {
      case PREDICTOR ->
          call.layer().predictorB().type() == WeightType.F16 && !call.layer().folded();
      case BOTH -> false;
      default -> true;
    };
  }

  private int heldUnion(CudaStream stream, Call call) {
    int tile = DecodeShapes.tile(call.batch());
    Pair pair = pair(call);
    DeviceMatrix first = pair.first();
    int tiles = intermediate / DecodeShapes.HELD_ROWS;
    int blocks = Math.min(tiles, multiprocessors);
    int shared =
        DecodeShapes.heldRingBytes(first.type(), tile)
            + DecodeShapes.heldBytes(tile, hidden)
            + DecodeShapes.heldListBytes(tile, DecodeShapes.ceil(tiles, blocks));
    if (!products.canHold(first, tile) || !DecodeShapes.fits(context.device(), shared)) {
      return 0;
    }
    stream.launch(
        context.kernel(DecodeShapes.kernel("held_union", first.type(), tile)),
        Launch.of(blocks, DecodeShapes.HELD_THREADS).withShared(shared).withOverlap(),
        first.elements(), first.scales(), pair.second().elements(), pair.second().scales(), call.x(), hidden,
        intermediate, call.batch(),
        calls(call), activation,
        call.rule().own() ? 1 : 0, pair.kind(), union, sum.counters(call), coefficients);
    return blocks;
  }

  private int heldPredicted(CudaStream stream, Call call) {
    int tile = DecodeShapes.tile(call.batch());
    DeviceMatrix factor = call.layer().predictorB();
    DeviceMatrix gateUp = call.layer().gateUp();
    boolean folded = call.layer().folded();
    int rank = factor.columns();
    int tiles = intermediate / DecodeShapes.HELD_ROWS;
    int blocks = Math.min(tiles, multiprocessors);
    int shared =
        DecodeShapes.heldPredictedBytes(
            gateUp.type(), tile, hidden, rank, DecodeShapes.ceil(tiles, blocks));
    boolean ofStages =
        rank % 64 == 0
            && DecodeShapes.unitBytes(factor.type(), rank, folded)
                <= DecodeShapes.heldStageBytes(gateUp.type());
    if (!products.canHold(gateUp, tile) || !ofStages || !DecodeShapes.fits(context.device(), shared)) {
      return 0;
    }
    predict(stream, call);
    String by = "held_predicted_" + factor.type().name().toLowerCase(Locale.ROOT);
    stream.launch(
        context.kernel(DecodeShapes.kernel(by, gateUp.type(), tile)),
        Launch.of(blocks, DecodeShapes.HELD_THREADS).withShared(shared).withOverlap(),
        factor.elements(), factor.scales(), predicted, rank,
        gateUp.elements(), gateUp.scales(), call.x(), hidden, intermediate, call.batch(),
        calls(call), activation,
        call.rule().own() ? 1 : 0, folded ? 1 : 0, union, sum.counters(call), coefficients);
    return blocks;
  }

  /**
   * @param alone scores and calls alone; nobody says then when the union is known
   * @return its clusters; 0 where it cannot
   */
  private int wideUnion(CudaStream stream, Call call, Pair pair, boolean alone) {
    int tile = DecodeShapes.tile(call.batch());
    DeviceMatrix first = pair.first();
    DeviceMatrix second = alone ? first : pair.second();
    boolean mixed = first.type() != second.type();
    String kernel = DecodeShapes.kernel(mixed ? "wide_predicted" : "wide_union", second.type(), tile);
    boolean same = alone || pair.firstX() == call.x();
    int groups = intermediate / WideShape.GROUP;
    WideShape shape =
        WideShape.of(
            context, kernel, tile, groups, WideShape.UNION_THREADS, second.type(),
            clusters -> WideShape.listBytes(tile, groups, clusters),
            same ? new DeviceMatrix[] {first} : new DeviceMatrix[] {first, second});
    if (shape == null) {
      return 0;
    }
    predict(stream, call);
    stream.launch(
        context.kernel(kernel), shape.launch(),
        first.elements(), first.scales(), pair.firstX(), first.columns(),
        second.elements(), second.scales(), call.x(), second.columns(), intermediate, call.batch(),
        shape.stages(),
        calls(call), activation,
        pair.activated() ? 1 : 0, call.rule().own() ? 1 : 0, pair.kind(), alone ? 1 : 0, scores, union,
        alone ? null : sum.counters(call), coefficients);
    return shape.clusters();
  }

  /** A predictor's first factor. */
  private void predict(CudaStream stream, Call call) {
    if (call.rule().scores() == Scores.PREDICTOR) {
      products.hidden(stream, call.layer().predictorA(), call.x(), call.batch(), predicted);
    }
  }

  /** The second product over the union, where it can: returns whether it did. */
  private boolean wideGathered(CudaStream stream, Call call, DeviceMatrix weights) {
    int tile = DecodeShapes.tile(call.batch());
    String kernel = DecodeShapes.kernel("wide_gathered", weights.type(), tile);
    WideShape shape =
        WideShape.of(
            context, kernel, tile, intermediate / WideShape.GROUP, WideShape.THREADS, weights.type(),
            clusters -> 4 * DecodeShapes.ceil(intermediate, clusters), weights);
    if (shape == null) {
      return false;
    }
    products.launchWide(
        stream, shape, "wide_gathered", weights, call.x(), intermediate, call.batch(),
        calls(call), activation,
        call.rule().own() ? 1 : 0, pair(call).kind(), scores, union, sum.counters(call), coefficients);
    return true;
  }

  /** PRODUCT_PARAMETERS of feed_forward.cu; rows are the neurons, whatever the matrix stacks. */
  private Object[] product(DeviceMatrix weights, DeviceBuffer x, int batch) {
    var scratch = products.scratch();
    return new Object[] {
      weights.elements(), weights.scales(), x, intermediate, weights.columns(), batch,
      scratch.partial, scratch.arrivals
    };
  }

  /** CALLS_PARAMETERS of feed_forward.cu. */
  private static Object[] calls(Call call) {
    Rule rule = call.rule();
    boolean logits = rule.scores() == Scores.PREDICTOR;
    return new Object[] {
      call.state(), rule.thresholds(), rule.denseFrom(), logits ? null : call.layer().rowScale(),
      call.records(), call.index(), call.layers(), logits ? 1 : 0
    };
  }

  private void launch(
      CudaStream stream, String name, DeviceMatrix weights, int tile, int blocks, int splits,
      Object... arguments) {
    stream.launch(
        context.kernel(DecodeShapes.kernel(name, weights.type(), tile)),
        DecodeProducts.rowLaunch(weights, tile, blocks, splits),
        arguments);
  }

  @Override
  public void close() {
    scores.close();
    union.close();
    coefficients.close();
    predicted.close();
    totals.close();
    energies.close();
    sum.close();
  }
}
