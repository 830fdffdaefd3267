package io.rollcall.kernels.cuda;


/**
 * The dense products of a decode step over at most 64 sequences: each weight is read once. On sm_90
 * activations stay in shared memory where they fit, a block's for up to 16 sequences (held.cu), a
 * cluster's for more (wide.cu). Otherwise (product.cu) columns are split over blocks where a matrix has
 * too few rows to keep every multiprocessor reading. Owns the scratch of split products, so an instance
 * belongs to one stream.
 */
public final class DecodeProducts implements AutoCloseable {
  /** Most sequences whose activations one block holds. */
  public static final int MOST_HELD = DecodeShapes.MOST_HELD;

  private final CudaContext context;
  private final int multiprocessors;
  private final Scratch scratch;

  /**
   * @param mostRows of any matrix it will be given, a feed-forward's 2f included
   * @param mostBatch sequences of a step
   */
  public DecodeProducts(CudaContext context, int mostRows, int mostBatch) {
    this.context = context;
    this.multiprocessors = context.device().multiprocessors();
    this.scratch = new Scratch(context, mostRows, DecodeShapes.tile(mostBatch), multiprocessors);
  }

  /**
   * Sums of split products on their way to be added up.
   *
   * <p>partial: f32 [tiles x splits x rows x tile]; arrivals: int [tiles], zero between kernels.
   */
  static final class Scratch implements AutoCloseable {
    final DeviceBuffer partial;
    final DeviceBuffer arrivals;

    Scratch(CudaContext context, int mostRows, int mostTile, int multiprocessors) {
      // a split product's grid is at most two blocks a multiprocessor or one block a tile
      long bytes = 0;
      for (int tile = 8; tile <= mostTile; tile *= 2) {
        int rows = tile >= 32 ? 128 : 64;
        long blocks = Math.max(2L * multiprocessors, DecodeShapes.ceil(mostRows, rows));
        bytes = Math.max(bytes, blocks * rows * tile * 4);
      }
      partial = context.allocate("the sums of split products", bytes);
      int tiles = DecodeShapes.ceil(mostRows, 32);
      arrivals = context.allocate("the arrivals of split products", 4L * tiles);
      try (CudaStream stream = context.newStream()) {
        stream.zero(arrivals, 0, 4L * tiles);
        stream.synchronize();
      }
    }

    @Override
    public void close() {
      partial.close();
      arrivals.close();
    }
  }

  Scratch scratch() {
    return scratch;
  }

  /** Whether a block can hold a step's activations. */
  boolean held(DeviceMatrix weights, int batch) {
    int tile = DecodeShapes.tile(batch);
    return canHold(weights, tile)
        && heldBytes(weights, tile) <= context.device().sharedBytesPerBlock();
  }

  /** Whether the device has bulk copies, and the matrix and the batch are for them. */
  boolean canHold(DeviceMatrix weights, int tile) {
    return context.device().major() >= 9
        && tile <= DecodeShapes.MOST_HELD
        && DecodeShapes.bulkCopied(weights.type(), weights.columns());
  }

  private static int heldBytes(DeviceMatrix weights, int tile) {
    return DecodeShapes.heldRingBytes(weights.type(), tile)
        + DecodeShapes.heldBytes(tile, weights.columns());
  }

  Launch heldLaunch(DeviceMatrix weights, int tile, int tiles) {
    return Launch.of(Math.min(tiles, multiprocessors), DecodeShapes.HELD_THREADS)
        .withShared(heldBytes(weights, tile))
        .withOverlap();
  }

  /** How wide.cu computes such a product, or null where it does not. */
  WideShape wide(String name, DeviceMatrix weights, int batch, int groups) {
    int tile = DecodeShapes.tile(batch);
    return WideShape.of(
        context, DecodeShapes.kernel(name, weights.type(), tile), tile, groups, WideShape.THREADS,
        weights.type(), clusters -> 0, weights);
  }

  /** Launches it; rows: those that the kernel counts by. */
  void launchWide(
      CudaStream stream, WideShape shape, String name, DeviceMatrix weights, DeviceBuffer x, int rows,
      int batch, Object... rest) {
    String kernel = DecodeShapes.kernel(name, weights.type(), DecodeShapes.tile(batch));
    stream.launch(
        context.kernel(kernel), shape.launch(),
        weights.elements(), weights.scales(), x, rows, weights.columns(), batch, shape.stages(), rest);
  }

  private WideShape wideProject(DeviceMatrix weights, int batch) {
    return wide("wide_project", weights, batch, DecodeShapes.ceil(weights.rows(), WideShape.GROUP));
  }

  /** Blocks that share a tile's columns, so that there are about two blocks a multiprocessor. */
  int splits(int tiles, int steps) {
    int wanted = 2 * multiprocessors / tiles;
    return Math.max(1, Math.min(Math.min(wanted, steps / 8), DecodeShapes.MOST_SPLITS));
  }

  /** Summands of {@link #projectSplit}. */
  public int projectSplits(DeviceMatrix weights, int batch) {
    if (held(weights, batch) || wideProject(weights, batch) != null) {
      return 1;
    }
    return splits(
        DecodeShapes.ceil(weights.rows(), DecodeShapes.rows(weights.type(), DecodeShapes.tile(batch))),
        DecodeShapes.steps(weights));
  }

  /**
   * y[b, r] = W[r] . x[b].
   *
   * @param x f16 [batch x columns]
   * @param y f32 [batch x rows]
   */
  public void project(
      CudaStream stream, DeviceMatrix weights, DeviceBuffer x, int batch, DeviceBuffer y) {
    project(stream, weights, x, batch, 1, y);
  }

  /**
   * The same as summands, one for each split of the columns, which a norm adds up.
   *
   * @param y f32 [projectSplits(weights, batch) x batch x rows]
   */
  public void projectSplit(
      CudaStream stream, DeviceMatrix weights, DeviceBuffer x, int batch, DeviceBuffer y) {
    project(stream, weights, x, batch, projectSplits(weights, batch), y);
  }

  private void project(
      CudaStream stream, DeviceMatrix weights, DeviceBuffer x, int batch, int splits, DeviceBuffer y) {
    int tile = DecodeShapes.tile(batch);
    if (held(weights, batch)) {
      stream.launch(
          context.kernel(DecodeShapes.kernel("held_project", weights.type(), tile)),
          heldLaunch(weights, tile, DecodeShapes.ceil(weights.rows(), DecodeShapes.HELD_ROWS)),
          weights.elements(), weights.scales(), x, weights.rows(), weights.columns(), batch, y);
      return;
    }
    WideShape wide = wideProject(weights, batch);
    if (wide != null) {
      launchWide(stream, wide, "wide_project", weights, x, weights.rows(), batch, y);
      return;
    }
    stream.launch(
        context.kernel(DecodeShapes.kernel("project", weights.type(), tile)),
        rowLaunch(weights, tile, DecodeShapes.ceil(weights.rows(), DecodeShapes.rows(weights.type(), tile)), splits),
        weights.elements(), weights.scales(), x, weights.rows(), weights.columns(), batch, y);
  }

  /**
   * The same, rounded: a predictor's first factor.
   *
   * @param y f16 [batch x rows]
   */
  public void hidden(
      CudaStream stream, DeviceMatrix weights, DeviceBuffer x, int batch, DeviceBuffer y) {
    int tile = DecodeShapes.tile(batch);
    if (held(weights, batch) && weights.rows() % DecodeShapes.HELD_ROWS == 0) {
      stream.launch(
          context.kernel(DecodeShapes.kernel("held_hidden", weights.type(), tile)),
          heldLaunch(weights, tile, weights.rows() / DecodeShapes.HELD_ROWS),
          weights.elements(), weights.scales(), x, weights.rows(), weights.columns(), batch, y);
      return;
    }
    WideShape wide = wide("wide_hidden", weights, batch, weights.rows() / WideShape.GROUP);
    if (wide != null && weights.rows() % WideShape.GROUP == 0) {
      launchWide(stream, wide, "wide_hidden", weights, x, weights.rows(), batch, y);
      return;
    }
    int tiles = DecodeShapes.ceil(weights.rows(), DecodeShapes.rows(weights.type(), tile));
    stream.launch(
        context.kernel(DecodeShapes.kernel("hidden", weights.type(), tile)),
        rowLaunch(weights, tile, tiles, splits(tiles, DecodeShapes.steps(weights))),
        weights.elements(), weights.scales(), x, weights.rows(), weights.columns(), batch,
        scratch.partial, scratch.arrivals, y);
  }

  /**
   * Where a step's queries, keys and values go.
   *
   * @param headSize a multiple of 64
   * @param cosines f32 [context x headSize / 2]
   * @param sines likewise
   * @param pageTable int [slots x mostPages]
   * @param keys the layer's pages, f16 [pages x kvHeads x 64 x headSize]
   * @param values likewise
   * @param queries f16 [batch x heads * headSize]
   */
  public record Heads(
      int heads,
      int kvHeads,
      int headSize,
      DeviceBuffer cosines,
      DeviceBuffer sines,
      DeviceBuffer pageTable,
      int mostPages,
      DeviceBuffer keys,
      DeviceBuffer values,
      DeviceBuffer queries) {}

  /**
   * Query, key and value projections with the rotary embedding, keys and values written to their
   * pages; inactive sequences write nothing.
   *
   * @param weights [(heads + 2 kvHeads) headSize x d]: queries, then keys, then values
   * @param x f16 [batch x d]
   * @param state a {@link StepState}
   */
  public void queryKeyValue(
      CudaStream stream, DeviceMatrix weights, DeviceBuffer x, int batch, DeviceBuffer state, Heads to) {
    int tile = DecodeShapes.tile(batch);
    if (held(weights, batch)) {
      stream.launch(
          context.kernel(DecodeShapes.kernel("held_qkv", weights.type(), tile)),
          heldLaunch(weights, tile, weights.rows() / DecodeShapes.HELD_ROWS),
          weights.elements(), weights.scales(), x, weights.columns(), batch, state, to.heads(),
          to.kvHeads(), to.headSize(), to.cosines(), to.sines(), to.pageTable(), to.mostPages(),
          to.keys(), to.values(), to.queries());
      return;
    }
    WideShape wide = wide("wide_qkv", weights, batch, weights.rows() / WideShape.GROUP);
    if (wide != null) {
      launchWide(
          stream, wide, "wide_qkv", weights, x, weights.rows(), batch, state, to.heads(), to.kvHeads(),
          to.headSize(), to.cosines(), to.sines(), to.pageTable(), to.mostPages(), to.keys(),
          to.values(), to.queries());
      return;
    }
    int tiles = DecodeShapes.ceil(weights.rows(), DecodeShapes.rows(weights.type(), tile));
    stream.launch(
        context.kernel(DecodeShapes.kernel("qkv", weights.type(), tile)),
        rowLaunch(weights, tile, tiles, splits(tiles, DecodeShapes.steps(weights))),
        weights.elements(), weights.scales(), x, weights.columns(), batch,
        scratch.partial, scratch.arrivals, state, to.heads(), to.kvHeads(), to.headSize(),
        to.cosines(), to.sines(), to.pageTable(), to.mostPages(), to.keys(), to.values(), to.queries());
  }

  static Launch rowLaunch(DeviceMatrix weights, int tile, int blocks, int splits) {
    return Launch.of(blocks, splits, DecodeShapes.ROW_THREADS)
        .withShared(DecodeShapes.rowRingBytes(weights.type(), tile))
        .withOverlap();
  }

  @Override
  public void close() {
    scratch.close();
  }
}
