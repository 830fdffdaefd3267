package io.rollcall.engine.runner;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.AttentionShape;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A fixed pool of keys and values: slots x context positions in every layer, in f32. Its size follows
 * from the configuration alone. The pools of all tasks of a process together may take at most a share
 * of its heap; one too many is refused before it is allocated.
 */
final class KeyValueCache implements AutoCloseable {
  private static final double HEAP_SHARE = 0.75;
  private static final AtomicLong RESERVED = new AtomicLong();

  private final long bytes;
  private final AttentionShape shape;
  private final float[][] keys;
  private final float[][] values;
  private boolean closed;

  /** @throws UserException when the pools of this process would outgrow its heap */
  KeyValueCache(ModelConfig config, int slots, int context) {
    shape = config.attention(context);
    long perLayer = (long) slots * shape.slotFloats();
    bytes = 2L * config.layers() * perLayer * Float.BYTES;
    long most = (long) (HEAP_SHARE * Runtime.getRuntime().maxMemory());
    long others = RESERVED.getAndAdd(bytes);
    if (perLayer > Integer.MAX_VALUE - 8 || others + bytes > most) {
      RESERVED.addAndGet(-bytes);
      throw new UserException(
          String.format(
              "the key/value cache of %d sequences x %d positions needs %d MiB, other tasks of this"
                  + " process hold %d MiB, and all may take %d MiB of the heap; lower --batch-size or"
                  + " --context, run fewer tasks at a time (spark.task.cpus), or raise the memory",
              slots, context, bytes >> 20, others >> 20, most >> 20));
    }
    keys = new float[config.layers()][(int) perLayer];
    values = new float[config.layers()][(int) perLayer];
  }

  AttentionShape shape() {
    return shape;
  }

  float[] keys(int layer) {
    return keys[layer];
  }

  float[] values(int layer) {
    return values[layer];
  }

  int slotOffset(int slot) {
    return slot * shape.slotFloats();
  }

  /**
   * Stores the key and value of one token.
   *
   * @param key [tokens x kvHeads x headSize], of which row {@code token} is taken
   */
  void put(int layer, int slot, int position, float[] key, float[] value, int token) {
    int size = shape.headSize();
    for (int head = 0; head < shape.kvHeads(); head++) {
      int from = (token * shape.kvHeads() + head) * size;
      int to = slotOffset(slot) + shape.offset(head, position);
      System.arraycopy(key, from, keys[layer], to, size);
      System.arraycopy(value, from, values[layer], to, size);
    }
  }

  /** Copies the first positions of a slot; false where the other is of another shape. */
  boolean copy(KeyValueCache other, int slot, int positions) {
    if (!shape.equals(other.shape)) {
      return false;
    }
    int length = positions * shape.headSize();
    for (int layer = 0; layer < keys.length; layer++) {
      for (int head = 0; head < shape.kvHeads(); head++) {
        int from = slotOffset(slot) + shape.offset(head, 0);
        System.arraycopy(other.keys[layer], from, keys[layer], from, length);
        System.arraycopy(other.values[layer], from, values[layer], from, length);
      }
    }
    return true;
  }

  /** Gives the pool's share of the heap back. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      RESERVED.addAndGet(-bytes);
    }
  }
}
