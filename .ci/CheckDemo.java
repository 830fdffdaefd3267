import static org.apache.spark.sql.functions.col;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Checks the tables of a demo, by Spark alone. */
public class CheckDemo {
  public static void main(String[] arguments) {
    String demo = arguments[0];
    SparkSession spark =
        SparkSession.builder()
            .master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.sql.shuffle.partitions", "1")
            .getOrCreate();
    Dataset<Row> documents = spark.read().parquet(demo + "/documents");
    Dataset<Row> generations = spark.read().parquet(demo + "/generations");
    Dataset<Row> sparsity = spark.read().parquet(demo + "/sparsity");
    Dataset<Row> runs = spark.read().option("multiLine", true).json(demo + "/runs");
    check("documents", documents.count() > 100);
    check("a generation for each document", generations.count() == documents.count());
    check("ids once", generations.select("id").distinct().count() == generations.count());
    check("no error rows", generations.filter(col("finish_reason").equalTo("error")).isEmpty());
    check("summaries", generations.filter("length(output) > 0").count() > documents.count() * 9 / 10);
    check("statistics of every layer", sparsity.select("layer").distinct().count() == 8);
    check("bytes saved", sparsity.filter("bytes_read < bytes_dense").count() > 0);
    check("one run", runs.count() == 1);
    check("that succeeded", runs.first().<String>getAs("status").equals("succeeded"));
    spark.stop();
  }

  private static void check(String what, boolean holds) {
    System.out.println((holds ? "ok: " : "WRONG: ") + what);
    if (!holds) {
      System.exit(1);
    }
  }
}
