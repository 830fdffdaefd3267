package io.rollcall.engine.runner;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.AttentionShape;

/**
 * A fixed pool of keys and values: slots x context positions in every layer, in f32. Its size follows
 * from the configuration alone, and it has its {@link CacheRoom}.
 */
final class KeyValueCache implements AutoCloseable {
  private final CacheRoom room;
  private final AttentionShape shape;
  private final float[][] keys;
  private final float[][] values;

  /** @throws io.rollcall.engine.UserException when the pools of this process would outgrow its heap */
  KeyValueCache(ModelConfig config, int slots, int context) {
    room = CacheRoom.of(config, slots, context);
    shape = config.attention(context);
    int perLayer = slots * shape.slotFloats();
    keys = new float[config.layers()][perLayer];
    values = new float[config.layers()][perLayer];
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
    room.close();
  }
}
