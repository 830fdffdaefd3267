package io.rollcall.engine

import java.nio.file.{FileSystemAlreadyExistsException, FileSystems, Files, Path, Paths}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}

/** The prompts of the parity fixture, and where the test resources lie. */
object Documents {
  private val mapper = new ObjectMapper

  /** A file or directory, within a jar where the classes are in one. */
  def resource(name: String): Path = {
    val uri = getClass.getResource("/" + name).toURI
    if (uri.getScheme == "jar") {
      try FileSystems.newFileSystem(uri, Map.empty[String, String].asJava)
      catch { case _: FileSystemAlreadyExistsException => }
    }
    Paths.get(uri)
  }

  def json(name: String): JsonNode = mapper.readTree(Files.readString(resource(name)))

  /** A checkpoint of the parity fixture with the built-in model's tokenizer: a model is loaded with one. */
  def tinyCheckpoint(name: String): Path = {
    val directory = Files.createTempDirectory("tiny")
    val tokenizer = Seq("tokenizer.json", "tokenizer_config.json")
      .map(file => resource(s"io/rollcall/models/summarizer-20m/$file"))
    val all = Files.list(resource(s"parity/$name")).iterator.asScala.toSeq ++ tokenizer
    all.foreach(file => Files.copy(file, directory.resolve(file.getFileName.toString)))
    directory
  }

  val all: Seq[String] =
    json("parity/summarizer-20m.json").elements.asScala.map(_.get("document").asText).toSeq

  /** `count` different prompts made of the documents' sentences. */
  def many(count: Int): Seq[String] = {
    val sentences = all.flatMap(_.split("[.;\n]")).map(_.trim).filter(_.length > 10)
    Seq.tabulate(count) { i =>
      Seq.tabulate(1 + i % 5)(k => sentences((i * 7 + k * 3) % sentences.size)).mkString(". ")
    }
  }
}
