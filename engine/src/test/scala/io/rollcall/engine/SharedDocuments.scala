package io.rollcall.engine

import java.nio.file.{Files, Path, Paths}

import scala.io.{Codec, Source}

import com.fasterxml.jackson.databind.ObjectMapper
import org.tukaani.xz.XZInputStream

import io.rollcall.engine.calibration.DecodePositions.Document

/** Documents with reference summaries in the folder shared/ beside the project, where there is one. */
object SharedDocuments {
  val folder: Path = Paths.get(System.getProperty("rollcall.root", ".")).resolve("../shared/data")

  /** The first of a file. */
  def read(name: String, most: Int): Seq[Document] = {
    val mapper = new ObjectMapper
    val stream = new XZInputStream(Files.newInputStream(folder.resolve(name)))
    val source = Source.fromInputStream(stream)(Codec.UTF8)
    try
      source.getLines().take(most).map(mapper.readTree).map { row =>
        new Document(row.get("id").asText, row.get("document").asText, row.get("summary").asText)
      }.toVector
    finally source.close()
  }
}
