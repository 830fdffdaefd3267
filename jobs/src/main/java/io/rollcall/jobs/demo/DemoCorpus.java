package io.rollcall.jobs.demo;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.length;
import static org.apache.spark.sql.functions.regexp_replace;
import static org.apache.spark.sql.functions.trim;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Spark's own configuration reference as a corpus: its {@code SET -v}. */
final class DemoCorpus {
  static final String ID = "key";
  static final String TEXT = "document";
  private static final int SHORTEST = 40;

  private DemoCorpus() {}

  /** Columns key and document, one row a setting that says something about itself. */
  static Dataset<Row> documents(SparkSession spark) {
    return spark
        .sql("SET -v")
        .select(col("key").as(ID), trim(regexp_replace(col("meaning"), "\\s+", " ")).as(TEXT))
        .filter(length(col(TEXT)).geq(SHORTEST))
        .dropDuplicates(ID);
  }
}
