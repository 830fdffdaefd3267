package io.rollcall.jobs;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The versions that the build wrote beside this class. */
public final class Version {
  private Version() {}

  /** Of Rollcall. */
  public static String current() {
    return of("version");
  }

  /** Of the chart library, whose files lie below it on the class path. */
  public static String echarts() {
    return of("echarts");
  }

  private static String of(String name) {
    try (InputStream in = Version.class.getResourceAsStream("version.properties")) {
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty(name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
