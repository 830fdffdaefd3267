package io.rollcall.jobs.command;

import io.rollcall.jobs.demo.DemoAction;
import io.rollcall.jobs.runtime.BackendChoice;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code rollcall demo}. */
@Command(
    name = "demo",
    description = "Lets the built-in model summarise Spark's own configuration reference and shows"
        + " what the sparsity saved.")
final class DemoCommand implements Callable<Integer> {
  @Option(
      names = "--output",
      paramLabel = "DIR",
      defaultValue = "rollcall-demo",
      description = "directory of the tables; an earlier demo's is overwritten (default:"
          + " rollcall-demo)")
  private String output;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description = ModelOptions.BACKEND)
  private String backend;

  @Override
  public Integer call() throws IOException {
    BackendChoice choice = BackendChoice.parse(backend);
    try (SparkSession spark = Sessions.open("demo")) {
      System.out.print(
          new DemoAction(spark, output, choice, Terminal.progress()).execute().page());
    }
    return 0;
  }
}
