package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.kernels.cuda.DeviceMemoryException;
import io.rollcall.kernels.cuda.KeyValuePages;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sizes a runner's pool of keys and values: every slot's whole context where that fits, else what the
 * device has left, and at least one whole context.
 */
final class KeyValuePool {
  private static final Logger LOG = LoggerFactory.getLogger(KeyValuePool.class);
  /** Left to what is allocated later: graphs, libraries. */
  private static final long MARGIN = 256L << 20;

  private KeyValuePool() {}

  static KeyValuePages allocate(DeviceModel model, RunnerOptions options) {
    KeyValuePages.Shape whole = shape(model, options, 1);
    String device = model.device().name();
    int pages = pages(whole, model.context().freeBytes(), device);
    try {
      return KeyValuePages.allocate(model.context(), shape(model, options, pages));
    } catch (DeviceMemoryException e) {
      throw tooSmall(whole, e.free(), device, e);
    }
  }

  /**
   * How many pages fit.
   *
   * @param whole what is wanted, but for the number of pages
   * @param free bytes that the device has left
   * @throws UserException when not even one slot's context fits
   */
  static int pages(KeyValuePages.Shape whole, long free, String device) {
    int wanted = Math.multiplyExact(whole.slots(), whole.maxPages());
    long room = Math.max(0, free - MARGIN);
    int pages = (int) Math.min(wanted, room / whole.bytesPerPage());
    if (pages < whole.maxPages()) {
      throw tooSmall(whole, room, device, null);
    }
    if (pages < wanted) {
      LOG.info(
          "The key/value pool has {} of {} pages that {} sequences of {} positions could fill;"
              + " sequences wait for room",
          pages, wanted, whole.slots(), whole.context());
    }
    return pages;
  }

  private static KeyValuePages.Shape shape(
      DeviceModel model, RunnerOptions options, int pages) {
    ModelConfig config = model.config();
    return new KeyValuePages.Shape(
        config.layers(), config.kvHeads(), config.headSize(), pages, options.slots(),
        options.context());
  }

  private static UserException tooSmall(
      KeyValuePages.Shape shape, long free, String device, Throwable cause) {
    long one = shape.maxPages() * shape.bytesPerPage();
    return new UserException(
        String.format(
            "the key/value pool of one sequence of %d positions needs %d MiB, of %d sequences %d MiB,"
                + " and %s has %d MiB left; lower --context or --batch-size, use --weights int8 or"
                + " int4, or run fewer tasks on the device",
            shape.context(),
            one >> 20,
            shape.slots(),
            shape.slots() * one >> 20,
            device,
            free >> 20),
        cause);
  }
}
