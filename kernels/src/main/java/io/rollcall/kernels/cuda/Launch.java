package io.rollcall.kernels.cuda;

/**
 * The shape of a kernel's launch: blocks along x, y, z; threads of a block (one dimension); dynamic
 * shared memory of a block in bytes. {@code overlapping} is programmatic dependent launch: blocks may
 * start while the kernel before is ending, so the kernel must call {@code depend_wait()} before it
 * touches what others write. Devices before sm_90 ignore it. {@code cluster} is how many blocks along x
 * run at a time and reach each other's shared memory, up to 8, from sm_90 on; 0 for no clusters. A cluster
 * of one is not the same: some instructions are of clusters alone.
 */
public record Launch(
    int gridX, int gridY, int gridZ, int threads, int sharedBytes, boolean overlapping, int cluster) {

  public Launch {
    if (gridX < 1 || gridY < 1 || gridY > 65535 || gridZ < 1 || gridZ > 65535) {
      throw new IllegalArgumentException(
          "a grid of %d x %d x %d blocks: x must be at least 1, y and z 1 to 65535"
              .formatted(gridX, gridY, gridZ));
    }
    if (threads < 1 || threads > 1024) {
      throw new IllegalArgumentException(
          "a block of %d threads: must be 1 to 1024".formatted(threads));
    }
    if (sharedBytes < 0) {
      throw new IllegalArgumentException("%d bytes of shared memory".formatted(sharedBytes));
    }
    if (cluster < 0 || cluster > 8 || cluster > 0 && gridX % cluster != 0) {
      throw new IllegalArgumentException(
          "clusters of %d of %d blocks: up to 8 that divide them".formatted(cluster, gridX));
    }
  }

  public static Launch of(int gridX, int threads) {
    return new Launch(gridX, 1, 1, threads, 0, false, 0);
  }

  public static Launch of(int gridX, int gridY, int threads) {
    return new Launch(gridX, gridY, 1, threads, 0, false, 0);
  }

  public Launch grid(int x, int y, int z) {
    return new Launch(x, y, z, threads, sharedBytes, overlapping, cluster);
  }

  public Launch withShared(int bytes) {
    return new Launch(gridX, gridY, gridZ, threads, bytes, overlapping, cluster);
  }

  public Launch withOverlap() {
    return new Launch(gridX, gridY, gridZ, threads, sharedBytes, true, cluster);
  }

  public Launch withCluster(int blocks) {
    return new Launch(gridX, gridY, gridZ, threads, sharedBytes, overlapping, blocks);
  }

  @Override
  public String toString() {
    return "grid %d x %d x %d, %d threads, %d bytes shared%s%s"
        .formatted(
            gridX, gridY, gridZ, threads, sharedBytes,
            cluster > 0 ? ", clusters of " + cluster : "", overlapping ? ", overlapping" : "");
  }
}
