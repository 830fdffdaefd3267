package io.rollcall.kernels.cuda;

import java.util.List;

/** A benchmark's arguments, {@code name=value} or {@code name=value,value}. */
public record BenchmarkArguments(String... arguments) {

  public List<String> list(String name, String otherwise) {
    String value = otherwise;
    for (String argument : arguments) {
      if (argument.startsWith(name + "=")) {
        value = argument.substring(name.length() + 1);
      }
    }
    return List.of(value.split(","));
  }

  public int number(String name, int otherwise) {
    return Integer.parseInt(list(name, Integer.toString(otherwise)).get(0));
  }
}
