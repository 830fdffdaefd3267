package io.rollcall.jobs.runtime;

import io.rollcall.jobs.UsageException;
import java.util.Locale;

/** What a run may compute with, {@code --backend}. */
public enum BackendChoice {
  /** A device where a task's process has one, else the CPU; each process for itself. */
  AUTO,
  CPU,
  /** A device, or an error that says why there is none. */
  CUDA;

  /** @throws UsageException naming those there are */
  public static BackendChoice parse(String name) {
    for (BackendChoice choice : values()) {
      if (choice.toString().equals(name)) {
        return choice;
      }
    }
    throw new UsageException("unknown --backend '" + name + "'; use auto, cpu or cuda");
  }

  /** The name on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
