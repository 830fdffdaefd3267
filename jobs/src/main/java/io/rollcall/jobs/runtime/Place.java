package io.rollcall.jobs.runtime;

import io.rollcall.engine.runner.Backend;

/**
 * Where in a process a model computes.
 *
 * @param ordinal of the device; 0 for the CPU
 */
public record Place(Backend backend, int ordinal) {
  static final Place CPU = new Place(Backend.CPU, 0);

  boolean onDevice() {
    return backend != Backend.CPU;
  }

  @Override
  public String toString() {
    return onDevice() ? backend + ":" + ordinal : backend.toString();
  }
}
