package io.rollcall.jobs.output;

import io.rollcall.jobs.UsageException;
import java.util.Locale;

/** What happens to an output that is there already. */
public enum WriteMode {
  /** Refuse. */
  ERROR,
  /** Replace the earlier runs' tables when this run's are complete. */
  OVERWRITE,
  /** Add this run's rows. */
  APPEND,
  /** Add rows for ids that the output lacks; an id whose row is an error counts as there. */
  RESUME;

  /** @throws UsageException naming the modes there are */
  public static WriteMode parse(String name) {
    for (WriteMode mode : values()) {
      if (mode.toString().equals(name)) {
        return mode;
      }
    }
    throw new UsageException(
        "unknown mode '" + name + "'; use error, overwrite, append or resume");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
