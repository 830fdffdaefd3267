package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;
import java.util.function.IntUnaryOperator;

/**
 * How a product of 32 or 64 sequences is launched (wide.cu): clusters of blocks that share the columns,
 * each block with its share of the activations in shared memory.
 *
 * @param blocks of a cluster
 * @param stages of each of a block's two rings
 */
record WideShape(int blocks, int clusters, int threads, int stages, int sharedBytes) {
  static final int THREADS = 448;
  /** With the warp that lists called rows. */
  static final int UNION_THREADS = 480;
  /** Rows that are divided among clusters together. */
  static final int GROUP = 16;

  private static final int TILE_GROUPS = 4;
  private static final int MOST_BLOCKS = 8;
  private static final int LEAST_STAGES = 2;
  private static final int MOST_STAGES = 12;
  private static final int BARRIER_BYTES = 8 * (4 * MOST_STAGES + 4);

  /**
   * The shape with the fewest blocks a cluster; of those that need several, with the most that leave a
   * cluster one tile, since each then has less to hold and to multiply. Null where a device, a batch or a
   * matrix is not for it.
   *
   * @param kernel one that is launched so
   * @param groups of 16 rows that there are at most to divide
   * @param widest the type whose stages are the largest
   * @param own bytes of shared memory that the kernel needs beside the product's, by the number of clusters
   * @param held matrices whose activations are held
   */
  static WideShape of(
      CudaContext context, String kernel, int tile, int groups, int threads, WeightType widest,
      IntUnaryOperator own, DeviceMatrix... held) {
    if (!fits(context.device(), tile, held)) {
      return null;
    }
    WideShape found = null;
    for (int blocks = 1; blocks <= MOST_BLOCKS; blocks *= 2) {
      int fixed = fixedBytes(tile, blocks, held);
      int most = context.device().sharedBytesPerBlock();
      if (fixed < 0 || fixed > most) {
        continue;
      }
      int clusters = Math.min(groups, mostClusters(context, kernel, threads, blocks));
      if (clusters < 1 || found != null && groups > TILE_GROUPS * clusters) {
        return found;
      }
      int bytes = fixed + own.applyAsInt(clusters);
      int stages = Math.min(MOST_STAGES, (most - bytes) / (2 * stageBytes(widest)));
      if (stages >= LEAST_STAGES) {
        found =
            new WideShape(
                blocks, clusters, threads, stages, bytes + 2 * stages * stageBytes(widest));
        if (blocks == 1) {
          return found;
        }
      }
    }
    return found;
  }

  /** That run at a time: a multiprocessor has one block, whatever that leaves of shared memory. */
  private static int mostClusters(CudaContext context, String kernel, int threads, int blocks) {
    if (blocks == 1) {
      return context.device().multiprocessors();
    }
    int most = context.device().sharedBytesPerBlock();
    Launch full = Launch.of(blocks, threads).withCluster(blocks).withShared(most);
    return context.kernel(kernel).clusters(full);
  }

  /** Whether wide kernels are for such a device and tile: wgmma is of sm_90 alone. */
  static boolean runs(CudaDevice device, int tile) {
    return device.major() == 9 && device.minor() == 0 && tile > DecodeShapes.MOST_HELD;
  }

  private static boolean fits(CudaDevice device, int tile, DeviceMatrix... held) {
    boolean fits = runs(device, tile);
    for (DeviceMatrix matrix : held) {
      fits &= matrix.columns() % DecodeShapes.stepColumns(matrix.type()) == 0;
    }
    return fits;
  }

  /** All but rings and what is the kernel's own; negative where a block would have no columns. */
  private static int fixedBytes(int tile, int blocks, DeviceMatrix... held) {
    int bytes = 2 * tile * 64 * 4 + BARRIER_BYTES;
    for (DeviceMatrix matrix : held) {
      int steps = DecodeShapes.steps(matrix);
      if (steps < blocks) {
        return -1;
      }
      bytes += DecodeShapes.ceil(steps, blocks) * DecodeShapes.stepColumns(matrix.type()) * tile * 2;
    }
    return bytes;
  }

  /** Of a step of 64 rows, their scales included. */
  private static int stageBytes(WeightType type) {
    return 64 * (128 + DecodeShapes.stepScaleBytes(type));
  }

  /** Of wide_union, for so many clusters: barriers, masks, counts and the list of its tiles. */
  static int listBytes(int tile, int groups, int clusters) {
    int tiles = DecodeShapes.ceil(DecodeShapes.ceil(groups, clusters), 4);
    return 8 + tiles * (2 * 8 + tile / 4 * 4 + 4 + 2 * 64);
  }

  Launch launch() {
    return Launch.of(blocks * clusters, threads)
        .withCluster(blocks)
        .withShared(sharedBytes)
        .withOverlap();
  }
}
