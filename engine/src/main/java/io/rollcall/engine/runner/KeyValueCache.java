package io.rollcall.engine.runner;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.AttentionShape;

/**
 * A fixed pool of keys and values: slots x context positions in every layer, in f32. Its size follows
 * from the configuration alone.
 */
final class KeyValueCache {
  private final AttentionShape shape;
  private final float[][] keys;
  private final float[][] values;

  /** @throws UserException when the pool is larger than the heap can hold */
  KeyValueCache(ModelConfig config, int slots, int context) {
    shape = config.attention(context);
    long perLayer = (long) slots * shape.slotFloats();
    long bytes = 2L * config.layers() * perLayer * Float.BYTES;
    long heap = Runtime.getRuntime().maxMemory();
    if (perLayer > Integer.MAX_VALUE - 8 || bytes > heap) {
      throw new UserException(
          String.format(
              "the key/value cache of %d sequences x %d positions needs %d MiB and the heap has %d"
                  + " MiB; lower --batch-size or --context, or raise the memory",
              slots, context, bytes >> 20, heap >> 20));
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
}
