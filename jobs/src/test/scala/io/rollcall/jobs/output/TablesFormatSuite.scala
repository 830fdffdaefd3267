package io.rollcall.jobs.output

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

import io.rollcall.engine.generation.{FinishReason, Generation}
import io.rollcall.engine.statistics.LayerStatistics
import io.rollcall.jobs.SparkSuite
import org.apache.avro.Schema
import org.apache.avro.generic.GenericRecord
import org.apache.hadoop.conf.Configuration
import org.apache.parquet.avro.{AvroParquetReader, AvroReadSupport}
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.TaskContext
import org.apache.spark.api.java.function.MapPartitionsFunction
import org.apache.spark.sql.{Encoders, Row, SaveMode}

object TablesFormatSuite {
  val labels = new Tables.Labels("run-1", "a model", "m-countdown", "shared")

  def generation(id: Long): Row = Tables.generation(
    new Generation(s"p$id", s"text $id", FinishReason.STOP, null, 3, 2, 0.25, Double.NaN),
    labels,
    java.util.List.of())

  def statistics(partition: Int): Row = Tables.sparsity(
    new LayerStatistics(1, 8, 10, 80, 0.1, 0.4, Array.tabulate(20)(_.toLong), 2, 300, 900),
    labels,
    partition)

  /** Rows of both tables, then a failure where asked for: after rows were already written. */
  final class Rows(fails: TaskContext => Boolean)
      extends MapPartitionsFunction[java.lang.Long, Row] {
    override def call(ids: java.util.Iterator[java.lang.Long]): java.util.Iterator[Row] = {
      val task = TaskContext.get()
      val last = Iterator(()).flatMap { _ =>
        if (fails(task)) throw new IllegalStateException("this attempt fails")
        Iterator(statistics(task.partitionId()))
      }
      (ids.asScala.map(id => generation(id)) ++ last).asJava
    }
  }
}

class TablesFormatSuite extends SparkSuite {
  import TablesFormatSuite._

  private def save(output: String, rows: Long, partitions: Int)(
      fails: TaskContext => Boolean): Unit =
    spark
      .range(0, rows, 1, partitions)
      .mapPartitions(new Rows(fails), Encoders.row(Tables.both(java.util.List.of())))
      .write
      .format(classOf[TablesFormat].getName)
      .mode(SaveMode.Append)
      .save(output)

  private def ids(output: String): Seq[String] =
    table(output, Tables.GENERATIONS).select("id").collect().map(_.getString(0)).toSeq.sorted

  private def expected(rows: Int): Seq[String] = (0 until rows).map(i => s"p$i").sorted

  test("one write fills both tables") {
    save(path("out"), 10, 3)(_ => false)
    assert(ids(path("out")) == expected(10))
    val sparsity = table(path("out"), Tables.SPARSITY).orderBy("partition_id").collect()
    assert(sparsity.map(_.getAs[Int]("partition_id")).toSeq == Seq(0, 1, 2))
    assert(sparsity.head.getAs[scala.collection.Seq[Long]]("union_histogram").sum == 190)
  }

  test("NaN densities are null") {
    save(path("out"), 1, 1)(_ => false)
    val row = table(path("out"), Tables.GENERATIONS).collect().head
    assert(row.getAs[Double]("own_density") == 0.25)
    assert(row.isNullAt(row.fieldIndex("union_density")))
  }

  test("an attempt that fails after writing leaves nothing, its retry leaves each row once") {
    save(path("out"), 10, 3)(task => task.attemptNumber() < 2 && task.partitionId() != 1)
    assert(ids(path("out")) == expected(10))
    assert(table(path("out"), Tables.SPARSITY).count() == 3)
  }

  test("a failed job leaves neither table a row") {
    save(path("out"), 4, 2)(_ => false)
    val error = intercept[Exception] {
      save(path("out"), 10, 3)(_.partitionId() == 2)
    }
    assert(error.getMessage.contains("this attempt fails"))
    assert(ids(path("out")) == expected(4))
    assert(table(path("out"), Tables.SPARSITY).count() == 2)
  }

  test("both tables have their schema where there are no rows") {
    spark
      .createDataFrame(java.util.List.of[Row](), Tables.both(java.util.List.of()))
      .write
      .format(classOf[TablesFormat].getName)
      .mode(SaveMode.Append)
      .save(path("out"))
    assert(
      table(path("out"), Tables.GENERATIONS).columns.toSeq ==
        Tables.generations(java.util.List.of()).fieldNames.toSeq)
    assert(
      table(path("out"), Tables.SPARSITY).columns.toSeq == Tables.sparsity().fieldNames.toSeq)
  }

  test("parquet-avro reads both tables by the schemas of conf/schemas") {
    save(path("out"), 3, 1)(_ => false)
    val generations = avro(path("out"), Tables.GENERATIONS)
    assert(generations.map(_.get("id").toString) == expected(3))
    assert(generations.head.get("union_density") == null)
    assert(generations.head.get("own_density") == 0.25)
    assert(generations.head.get("prompt_tokens") == 3)
    val sparsity = avro(path("out"), Tables.SPARSITY)
    assert(sparsity.map(_.get("steps")) == Seq(10L))
    assert(
      sparsity.head.get("union_histogram").asInstanceOf[java.util.List[Long]].asScala ==
        (0L until 20L))
  }

  private def avro(output: String, table: String): Seq[GenericRecord] = {
    val root = Path.of(System.getProperty("rollcall.root"))
    val schema = new Schema.Parser()
      .parse(Files.readString(root.resolve(s"conf/schemas/$table.avsc")))
    val configuration = new Configuration()
    AvroReadSupport.setAvroReadSchema(configuration, schema)
    new java.io.File(output, table).listFiles().toSeq
      .filter(_.getName.endsWith(".parquet"))
      .flatMap { file =>
        val in = HadoopInputFile.fromPath(
          new org.apache.hadoop.fs.Path(file.toURI), configuration)
        val reader = AvroParquetReader.builder[GenericRecord](in).withConf(configuration).build()
        try Iterator.continually(reader.read()).takeWhile(_ != null).toList
        finally reader.close()
      }
  }
}
