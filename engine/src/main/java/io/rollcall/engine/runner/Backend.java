package io.rollcall.engine.runner;

import io.rollcall.engine.UserException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** What computes. */
public enum Backend {
  CPU,
  CUDA;

  /** @throws UserException naming those there are */
  public static Backend parse(String name) {
    return Arrays.stream(values())
        .filter(backend -> backend.toString().equals(name))
        .findFirst()
        .orElseThrow(() -> new UserException("unknown backend '" + name + "'; use auto, " + names()));
  }

  private static String names() {
    return Arrays.stream(values()).map(Backend::toString).collect(Collectors.joining(" or "));
  }

  /** The name on the command line and in tables. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
