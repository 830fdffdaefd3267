package io.rollcall.engine.runner;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;

/**
 * Room for the key/value cache of one runner on the heap, held until it is closed. The caches of all
 * tasks of a process together may take at most a share of its heap; one too many is refused before it
 * is allocated.
 */
public final class CacheRoom implements AutoCloseable {
  private static final double HEAP_SHARE = 0.75;
  private static final int LONGEST_ARRAY = Integer.MAX_VALUE - 8;
  private static final Object LOCK = new Object();
  private static long reserved; // guarded by LOCK

  private long bytes;

  private CacheRoom(long bytes) {
    this.bytes = bytes;
  }

  /** No room at all, where the cache lies elsewhere. */
  public static CacheRoom none() {
    return new CacheRoom(0);
  }

  /** @throws UserException when the caches of this process would outgrow its heap */
  static CacheRoom of(ModelConfig config, int slots, int context) {
    // In double, which no batch size overflows; below 2^53 it is exact.
    double perLayer = (double) slots * context * config.kvHeads() * config.headSize();
    double bytes = 2.0 * config.layers() * perLayer * Float.BYTES;
    long most = (long) (HEAP_SHARE * Runtime.getRuntime().maxMemory());
    synchronized (LOCK) {
      if (perLayer > LONGEST_ARRAY || reserved + bytes > most) {
        throw new UserException(
            String.format(
                "the key/value cache of %d sequences x %d positions needs %.0f MiB, other tasks of"
                    + " this process hold %d MiB, and all may take %d MiB of the heap; lower"
                    + " --batch-size or --context, run fewer tasks at a time (spark.task.cpus), or"
                    + " raise the memory",
                slots, context, Math.floor(bytes / (1 << 20)), reserved >> 20, most >> 20));
      }
      reserved += (long) bytes;
    }
    return new CacheRoom((long) bytes);
  }

  /** Gives the share of the heap back. */
  @Override
  public void close() {
    synchronized (LOCK) {
      reserved -= bytes;
      bytes = 0;
    }
  }
}
