package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.WorkerPool;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/**
 * Speed of the products, best of many slices of time too short for the scheduler to take a core away
 * in each: multiply-adds in GFLOP/s (two operations each) and weights read in GB/s. The weights of
 * one configuration are copies that together take {@link #WORKING_SET} bytes, as a model's layers do,
 * so that a core's own caches do not hold them.
 *
 * <pre>
 * mvn -q -B -pl kernels test-compile dependency:build-classpath -Dmdep.outputFile=/tmp/classpath
 * java --add-modules jdk.incubator.vector \
 *   -cp kernels/target/classes:kernels/target/test-classes:$(cat /tmp/classpath) \
 *   io.rollcall.kernels.cpu.KernelBenchmark [regular expression that a line's label matches]
 * </pre>
 */
public final class KernelBenchmark {
  private static final long WORKING_SET = 24L << 20;
  private static final int[][] SHAPES = {{1536, 384}, {384, 384}, {8192, 384}};
  private static final int[] BATCHES = {1, 4, 8, 16, 32, 256};
  private static final long SLICE_NANOS = 4_000_000;
  private static final int SLICES = 40;
  private static final long WARM_UP_NANOS = 2_000_000_000;
  private static boolean warmedUp;

  private KernelBenchmark() {}

  public static void main(String[] arguments) {
    String wanted = arguments.length > 0 ? arguments[0] : ".*";
    System.out.printf("%-46s %9s %8s%n", "operation shape type workers batch", "GFLOP/s", "GB/s");
    for (int workers = 1; workers <= 2; workers++) {
      try (WorkerPool pool = new WorkerPool(workers)) {
        Kernels kernels = CpuKernels.create(pool);
        for (WeightType type : new WeightType[] {WeightType.BF16, WeightType.INT8}) {
          for (int[] shape : SHAPES) {
            for (String operation : new String[] {"matmul", "sumRows"}) {
              for (int batch : BATCHES) {
                String label =
                    String.format(
                        "%-8s %5dx%d %-5s workers %d batch %3d",
                        operation, shape[0], shape[1], type, workers, batch);
                if (label.matches(wanted)) {
                  measure(label, kernels, operation, weights(type, shape), batch);
                }
              }
            }
          }
        }
      }
    }
  }

  private static WeightMatrix[] weights(WeightType type, int[] shape) {
    Random random = new Random(1);
    ByteBuffer data =
        ByteBuffer.allocate(shape[0] * shape[1] * 2).order(ByteOrder.LITTLE_ENDIAN);
    while (data.hasRemaining()) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian() * 0.05f);
      data.putShort((short) (bits >>> 16));
    }
    long bytes = type.bytes((long) shape[0] * shape[1]);
    WeightMatrix[] copies = new WeightMatrix[(int) (WORKING_SET / bytes + 1)];
    for (int i = 0; i < copies.length; i++) {
      WeightMatrix w = WeightMatrix.of(WeightType.BF16, shape[0], shape[1], data);
      copies[i] = type.quantised() ? w.quantise(type) : w;
    }
    return copies;
  }

  private static void measure(
      String label, Kernels kernels, String operation, WeightMatrix[] weights, int batch) {
    int n = weights[0].rows();
    int k = weights[0].columns();
    boolean matmul = operation.equals("matmul");
    float[] x = new float[batch * (matmul ? k : n)];
    float[] y = new float[batch * (matmul ? n : k)];
    Random random = new Random(2);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    double best = Double.MAX_VALUE;
    int next = 0;
    long warm = System.nanoTime() + (warmedUp ? WARM_UP_NANOS / 8 : WARM_UP_NANOS);
    warmedUp = true;
    for (int slice = 0; slice < SLICES || System.nanoTime() < warm; slice++) {
      long begin = System.nanoTime();
      int calls = 0;
      do {
        WeightMatrix w = weights[next++ % weights.length];
        if (matmul) {
          kernels.matmul(w, x, batch, y);
        } else {
          kernels.sumRows(w, x, batch, y);
        }
        calls++;
      } while (System.nanoTime() - begin < SLICE_NANOS);
      best = Math.min(best, (double) (System.nanoTime() - begin) / calls);
    }
    System.out.printf(
        "%-46s %9.1f %8.1f%n",
        label, 2.0 * n * k * batch / best, weights[0].bytes() / best);
  }
}
