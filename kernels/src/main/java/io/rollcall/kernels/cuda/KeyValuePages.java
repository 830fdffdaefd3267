package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;

/**
 * The pool of keys and values of all layers, in pages of {@link #PAGE_POSITIONS} positions that
 * sequences take as they grow and give back when they end. Its size never changes.
 *
 * <p>On the device: for each layer, keys f16 [pages x kvHeads x 64 x headSize] and values likewise;
 * one table for all layers, int32 [slots x maxPages]. Page numbers reach the device with {@link
 * #flush}. Used by one thread at a time.
 */
public final class KeyValuePages implements AutoCloseable {
  public static final int PAGE_POSITIONS = PageTable.POSITIONS;

  /**
   * @param layers of the model
   * @param kvHeads key/value heads
   * @param headSize elements of a head
   * @param pages of the pool
   * @param slots sequences at a time, at most
   * @param context positions of one sequence, at most
   */
  public record Shape(int layers, int kvHeads, int headSize, int pages, int slots, int context) {
    public Shape {
      for (int size : new int[] {layers, kvHeads, headSize, pages, slots, context}) {
        if (size < 1) {
          throw new IllegalArgumentException(
              "key/value pages of %d layers, %d heads of %d, %d pages, %d slots, context %d"
                  .formatted(layers, kvHeads, headSize, pages, slots, context));
        }
      }
    }

    /** Bytes of one page: keys and values of its 64 positions in every layer. */
    public long bytesPerPage() {
      return 2L * layers * pageBytes();
    }

    /** Bytes on the device, table included. */
    public long bytes() {
      return pages * bytesPerPage() + tableBytes();
    }

    /** Pages of one slot, at most: a row of the table. */
    public int maxPages() {
      return PageTable.pagesFor(context);
    }

    private long pageBytes() {
      return (long) kvHeads * PAGE_POSITIONS * headSize * Short.BYTES;
    }

    private long tableBytes() {
      return (long) slots * maxPages() * Integer.BYTES;
    }
  }

  private final Shape shape;
  private final PageTable pages;
  private final ByteBuffer mirror;
  private final IntBuffer mirrorEntries;
  private final DeviceBuffer pool;
  private final DeviceBuffer table;

  private KeyValuePages(Shape shape, DeviceBuffer pool, DeviceBuffer table) {
    this.shape = shape;
    this.pool = pool;
    this.table = table;
    pages = new PageTable(shape.pages(), shape.slots(), shape.maxPages());
    mirror =
        ByteBuffer.allocateDirect(Math.toIntExact(shape.tableBytes()))
            .order(ByteOrder.LITTLE_ENDIAN);
    mirrorEntries = mirror.asIntBuffer();
  }

  /** @throws DeviceMemoryException when the pool does not fit */
  public static KeyValuePages allocate(CudaContext context, Shape shape) {
    DeviceBuffer pool =
        context.allocate(
            "the key/value pool (%d pages of %d positions)"
                .formatted(shape.pages(), PAGE_POSITIONS),
            shape.pages() * shape.bytesPerPage());
    try {
      return new KeyValuePages(
          shape, pool, context.allocate("the page table", shape.tableBytes()));
    } catch (RuntimeException e) {
      pool.close();
      throw e;
    }
  }

  public Shape shape() {
    return shape;
  }

  /** Bytes of one page in all layers. */
  public long bytesPerPage() {
    return shape.bytesPerPage();
  }

  /**
   * Sees to it that the slot holds at least so many positions, counted from its first. What it holds
   * already stays.
   *
   * @return false, with nothing changed, when there are too few free pages
   * @throws IllegalArgumentException when the context is shorter than that
   */
  public boolean reserve(int slot, int positions) {
    return pages.reserve(slot, positions);
  }

  /**
   * Gives the slot's pages back. Work enqueued before on the stream that is flushed to next may still
   * use them.
   */
  public void release(int slot) {
    pages.release(slot);
  }

  /** Positions that the slot holds, a multiple of a page's. */
  public int reserved(int slot) {
    return pages.reserved(slot);
  }

  public int freePages() {
    return pages.freePages();
  }

  /** Page of the slot's positions 64 index to 64 index + 63, or -1 where it holds none. */
  public int page(int slot, int index) {
    return pages.page(slot, index);
  }

  /** Brings the device's table up to date, for the work enqueued after this. */
  public void flush(CudaStream stream) {
    pages.drainChanges(
        (slot, from, to) -> {
          int row = slot * shape.maxPages();
          for (int i = from; i < to; i++) {
            mirrorEntries.put(row + i, pages.page(slot, i));
          }
          stream.upload(
              table,
              (long) (row + from) * Integer.BYTES,
              mirror.slice((row + from) * Integer.BYTES, (to - from) * Integer.BYTES));
        });
  }

  /** Keys of one layer, f16 [pages x kvHeads x 64 x headSize]. */
  public DeviceBuffer keys(int layer) {
    return part(2 * checked(layer));
  }

  /** Values of one layer, shaped as its keys. */
  public DeviceBuffer values(int layer) {
    return part(2 * checked(layer) + 1);
  }

  /** Int32 [slots x maxPages]; -1 where a slot holds no page. */
  public DeviceBuffer table() {
    return table;
  }

  private DeviceBuffer part(int index) {
    long bytes = shape.pages() * shape.pageBytes();
    return pool.slice(index * bytes, bytes);
  }

  private int checked(int layer) {
    if (layer < 0 || layer >= shape.layers()) {
      throw new IndexOutOfBoundsException("layer " + layer + " of " + shape.layers());
    }
    return layer;
  }

  @Override
  public void close() {
    table.close();
    pool.close();
  }
}
