package io.rollcall.engine.checkpoint

import java.nio.ByteOrder
import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException

class ModelFilesSuite extends AnyFunSuite {
  private def refusal(use: => Any): String = intercept[UserException](use).getMessage

  test("a directory without config.json is told what to point at") {
    val at = TinyCheckpoint.directory()
    assert(refusal(ModelFiles.directory(at)) ==
      s"model '$at' has no config.json; point --model at a Hugging Face checkpoint directory")
  }

  test("a path that is no directory is refused with the built-in models") {
    assert(refusal(ModelFiles.locate("/no/such/model")).contains("builtin:summarizer-20m"))
  }

  test("an unknown built-in model is refused with those there are") {
    assert(refusal(ModelFiles.locate("builtin:other")) ==
      "no built-in model 'other'; use builtin:summarizer-20m")
  }

  test("a range of a file is a read-only little-endian view of just that range") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", "0123456789")
    val view = ModelFiles.directory(at).map("config.json", 3, 4)
    assert(view.remaining == 4 && view.get(0) == '3' && view.isReadOnly)
    assert(view.order == ByteOrder.LITTLE_ENDIAN)
    assert(refusal(ModelFiles.directory(at).map("config.json", 8, 4)).contains("download it again"))
  }

  test("a file that is not there is named") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", "{}")
    for (use <- Seq[ModelFiles => Any](_.size("x.json"), _.read("x.json"), _.map("x.json", 0, 1)))
      assert(refusal(use(ModelFiles.directory(at))).startsWith(s"model '$at' has no x.json"))
  }

  test("the built-in model's manifest lists exactly the files that ship") {
    val builtin = ModelFiles.locate("builtin:summarizer-20m")
    val folder = Paths.get(getClass.getResource("/io/rollcall/models/summarizer-20m").toURI)
    val shipped = Files.list(folder).iterator.asScala.map(_.getFileName.toString).toSeq.sorted
    assert(builtin.list.asScala == shipped && builtin.name == "builtin:summarizer-20m")
    for (file <- shipped) assert(builtin.size(file) == Files.size(folder.resolve(file)), file)
  }
}
