package io.rollcall.jobs.input

import java.util.List

import io.rollcall.engine.UserException
import io.rollcall.jobs.{SparkSuite, UsageException}
import org.apache.avro.SchemaBuilder
import org.apache.avro.generic.{GenericData, GenericRecord}
import org.apache.hadoop.conf.Configuration
import org.apache.parquet.avro.AvroParquetWriter
import org.apache.parquet.hadoop.util.HadoopOutputFile

class PromptTableSuite extends SparkSuite {
  private def rows(source: PromptSource, partitions: Int = 3): Map[String, (String, String)] =
    PromptTable
      .open(spark, source)
      .prompts(partitions)
      .collect()
      .map(row => row.getString(0) -> ((row.getString(1), row.getString(2))))
      .toMap

  private def refused(source: PromptSource): String = {
    val message = intercept[UserException](PromptTable.open(spark, source)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  private def columns(path: String, id: String, prompt: String, keep: String*) =
    new PromptSource(path, id, prompt, List.of(keep: _*), 0)

  test("a missing input is named") {
    assert(refused(PromptSource.of(path("none"))).contains("none' does not exist"))
    assert(refused(PromptSource.of(path("none*.json"))).contains("does not exist"))
  }

  test("an empty directory holds no files") {
    new java.io.File(path("empty")).mkdir()
    assert(refused(PromptSource.of(path("empty"))).contains("holds no files"))
  }

  test("a missing column is named with those there are") {
    val input = prompts("in", "a" -> "x")
    val message = refused(columns(input, "id", "document"))
    assert(message.contains("no column 'document'"))
    assert(message.contains("id, prompt"))
    assert(message.contains("--prompt-column"))
  }

  test("a column of the wrong type is named with its type") {
    val input = write("in.jsonl", """{"id": [1], "prompt": "x", "n": 1}""" + "\n")
    assert(refused(PromptSource.of(input)).contains("array<bigint>"))
    assert(refused(columns(input, "n", "n")).contains("bigint, not text"))
  }

  test("an id of bytes is refused, since no text is sure to stand for it") {
    spark.sql("SELECT X'FF02' AS id, 'x' AS prompt").write.parquet(path("in"))
    val message = refused(PromptSource.of(path("in")))
    assert(message.contains("is binary") && message.contains("as text (hex)"), message)
  }

  test("a file that is not Parquet is refused in one line") {
    val input = write("in.parquet", "no parquet at all\n")
    assert(refused(PromptSource.of(input)).contains("as Parquet"))
  }

  test("a file of another format is refused with the formats that are read") {
    val input = write("x.csv", "id,prompt\na,\"some text of some length\"\n")
    val message = refused(PromptSource.of(input))
    assert(message.contains("x.csv is not a Parquet file;"))
    assert(message.endsWith("; Parquet and JSON lines (.json, .jsonl) are read"))
  }

  test("JSON lines without a line have no rows") {
    for (text <- Seq("", "\n\n"))
      assert(refused(PromptSource.of(write("in.jsonl", text))).endsWith("in.jsonl' has no rows"))
    assert(refused(PromptSource.of(write("in.jsonl", "{}\n"))).contains("no column 'id'"))
  }

  test("JSON that is not one object a line is said to be that") {
    val input = write("in.json", "[\n  {\n    \"id\": \"a\",\n    \"prompt\": \"x\"\n  }\n]\n")
    val message = refused(PromptSource.of(input))
    assert(message.contains("is not JSON lines") && message.endsWith("write one object a line"))
  }

  test("JSON lines and Parquet cannot be mixed") {
    prompts("in", "a" -> "x")
    write("in/b.json", """{"id": "b", "prompt": "y"}""")
    assert(refused(PromptSource.of(path("in"))).contains("mixes"))
  }

  test("JSON lines are read by ending, compressed ones and globs too") {
    write("a.jsonl", """{"id": 1, "prompt": "one"}""" + "\n")
    write("b.json", """{"id": 2, "prompt": "two"}""" + "\n")
    val out = new java.util.zip.GZIPOutputStream(new java.io.FileOutputStream(path("c.jsonl.gz")))
    out.write("""{"id": 3, "prompt": "three"}""".getBytes)
    out.close()
    val read = rows(PromptSource.of(path("*.json*")))
    assert(read == Map("1" -> ("one", null), "2" -> ("two", null), "3" -> ("three", null)))
  }

  test("a line that is no JSON becomes an error row") {
    val input = write("in.jsonl", "{\"id\": \"a\", \"prompt\": \"x\"}\n{broken\n")
    val (good, bad) = rows(PromptSource.of(input)).partition(_._1 == "a")
    assert(good == Map("a" -> ("x", null)))
    assert(bad.keys.head.startsWith("null#"))
    assert(bad.values.head._2 == "the line is not valid JSON")
  }

  test("rows without an id get one of their own, the same each time") {
    val input = prompts("in", null.asInstanceOf[String] -> "x", (null, "y"), ("a", "z"))
    val first = rows(PromptSource.of(input), 1)
    assert(first.size == 3)
    assert(first.collect { case (id, (prompt, _)) if id.startsWith("null#") => prompt }.toSet ==
      Set("x", "y"))
    assert(first.values.count(_._2 == "the row's id is null") == 2)
    assert(first == rows(PromptSource.of(input), 5))
  }

  test("rows that share an id become one error row that counts them") {
    val input = prompts("in", "a" -> "x", "a" -> "y", "b" -> "z", "a" -> "x")
    val read = rows(PromptSource.of(input))
    assert(read.keySet == Set("a", "b"))
    assert(read("a")._2 == "3 rows of the input have this id")
    assert(read("b") == ("z", null))
  }

  test("rows alike without an id become one error row that says what each of them lacks") {
    val input = prompts("in", Seq[(String, String)]((null, "x"), (null, "x"), (null, "y")): _*)
    val read = rows(PromptSource.of(input)).values.toMap
    assert(read == Map("x" -> "the row's id is null (2 such rows)", "y" -> "the row's id is null"))
    val broken = write("in.jsonl", "{\"id\": \"a\", \"prompt\": \"x\"}\n" + "{broken\n" * 3)
    assert(rows(PromptSource.of(broken)).values.map(_._2).toSet ==
      Set(null, "the line is not valid JSON (3 such rows)"))
  }

  test("prompts lie in as many partitions as asked for, sorted by id in each") {
    val input = prompts("in", (1 to 100).map(i => s"id$i" -> s"p$i"): _*)
    val found = PromptTable.open(spark, PromptSource.of(input)).prompts(7).rdd.glom().collect()
    assert(found.length == 7)
    assert(found.forall(_.nonEmpty))
    found.foreach { part =>
      val ids = part.map(_.getString(0)).toSeq
      assert(ids == ids.sorted)
    }
  }

  private def limited(input: String, limit: Long) =
    new PromptSource(input, "id", "prompt", List.of(), limit)

  test("a limit takes the same prompts each time, whatever order the rows come in") {
    val documents = (1 to 50).map(i => s"id$i" -> s"p$i")
    val input = prompts("in", documents: _*)
    val taken = rows(limited(input, 10))
    assert(taken.size == 10)
    assert(rows(limited(input, 10), 1) == taken)
    assert(rows(limited(prompts("turned", documents.reverse: _*), 10)) == taken)
    assert(rows(limited(input, 60)).size == 50)
    assert(rows(limited(prompts("empty"), 10)).isEmpty)
  }

  test("a limit counts ids and takes all rows of each") {
    // 0, 1 or 2 further rows for every id
    val documents = for (i <- 1 to 30; nth <- 0 to i % 3) yield s"id$i" -> s"p$i-$nth"
    val withoutId: (String, String) = (null, "x")
    val input = prompts("in", documents :+ withoutId :+ withoutId: _*)
    val all = rows(PromptSource.of(input))
    assert(all.size == 31)
    for (limit <- 1 to 31 by 5) {
      val taken = rows(limited(input, limit))
      assert(taken.size == limit)
      assert(taken.toSet.subsetOf(all.toSet))
      assert(PromptTable.open(spark, limited(input, limit)).promptCount() == limit)
    }
  }

  test("a column cannot be kept twice or under the output's own names") {
    assertThrows[UsageException](columns("x", "id", "prompt", "Model"))
    assertThrows[UsageException](columns("x", "id", "prompt", "a", "A"))
  }

  test("what parquet-avro wrote is read") {
    val schema = SchemaBuilder
      .record("Doc")
      .fields()
      .requiredString("id")
      .optionalString("prompt")
      .endRecord()
    val file = new org.apache.hadoop.fs.Path(new java.io.File(path("in.parquet")).toURI)
    val writer = AvroParquetWriter
      .builder[GenericRecord](HadoopOutputFile.fromPath(file, new Configuration()))
      .withSchema(schema)
      .build()
    val record = new GenericData.Record(schema)
    record.put("id", "a")
    record.put("prompt", "text")
    writer.write(record)
    writer.close()
    assert(rows(PromptSource.of(path("in.parquet"))) == Map("a" -> ("text", null)))
  }
}
