package io.rollcall.engine.text

import java.nio.file.{Files, Paths}
import java.util.concurrent.{Callable, Executors}

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.{ModelFiles, TinyCheckpoint}

class TextTokenizerSuite extends AnyFunSuite with BeforeAndAfterAll {
  private lazy val tokenizer = TextTokenizer.load(ModelFiles.locate("builtin:summarizer-20m"))

  override def afterAll(): Unit = tokenizer.close()

  private val texts = Seq(
    "", " ", "A plain line.", "  two  spaces\tand\ttabs \r\n\r\n", "naïve café, 東京, Ελλάδα, 😀👩‍🔬",
    "\u0000 control \u0007", "{{ not }} {% a %} template", "x" * 5000, "1234567890" * 50)

  test("decoding gives back what was encoded") {
    for (text <- texts) assert(tokenizer.decode(tokenizer.encode(text, false)) == text)
  }

  test("random texts of any script come back") {
    val random = new Random(7)
    for (_ <- 1 to 200) {
      val points = Seq.fill(random.nextInt(60))(random.nextInt(0x10ffff)).filter(p => p < 0xd800 || p > 0xdfff)
      val text = points.map(p => new String(Character.toChars(p))).mkString
      assert(tokenizer.decode(tokenizer.encode(text, false)) == text)
    }
  }

  test("the begin token is added only when asked for") {
    val plain = tokenizer.encode("hello there", false).toSeq
    assert(tokenizer.encode("hello there", true).toSeq == 1 +: plain && !plain.contains(1))
  }

  test("special tokens written in a text are recognised, and left out of decoded text") {
    val tokens = tokenizer.encode("<|begin|>hi<|end|>", false)
    assert(tokens.head == 1 && tokens.last == 0)
    assert(tokenizer.decode(tokens) == "hi")
  }

  test("nothing is truncated, even where tokenizer.json asks for it") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", "{}")
    TinyCheckpoint.write(at, "tokenizer.json", TinyCheckpoint.tokenizer)
    val tiny = TextTokenizer.load(ModelFiles.directory(at))
    try assert(tiny.encode("a b c d e f z", true).toSeq == Seq(1, 3, 4, 5, 6, 7, 8, 0))
    finally tiny.close()
    assert(tokenizer.encode("word " * 20000, true).length > 20000)
  }

  test("four threads get what one gets") {
    val expected = texts.map(tokenizer.encode(_, true).toSeq)
    val pool = Executors.newFixedThreadPool(4)
    val work: Callable[Boolean] = () =>
      (1 to 50).forall(_ => texts.map(tokenizer.encode(_, true).toSeq) == expected &&
        expected.map(t => tokenizer.decode(t.toArray)) == texts)
    try assert(pool.invokeAll(Seq.fill(4)(work).asJava).asScala.forall(_.get))
    finally pool.shutdown()
  }

  test("a tokenizer.json that is missing or broken is refused in one line") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", "{}")
    def refusal = intercept[UserException](TextTokenizer.load(ModelFiles.directory(at))).getMessage
    assert(refusal.contains("has no tokenizer.json"))
    TinyCheckpoint.write(at, "tokenizer.json", "{\"model\": 1}")
    assert(refusal.contains("is not a tokenizer") && !refusal.contains("\n"), refusal)
  }

  test("a closed tokenizer refuses to work instead of crashing") {
    val closed = TextTokenizer.load(ModelFiles.locate("builtin:summarizer-20m"))
    closed.close()
    closed.close()
    intercept[IllegalStateException](closed.encode("x", true))
  }

  test("processes that start at once need no HOME and leave nothing behind") {
    val temporary = TinyCheckpoint.directory()
    val java = Paths.get(System.getProperty("java.home"), "bin", "java").toString
    val processes = (1 to 3).map { _ =>
      new ProcessBuilder(
        java, "-Duser.home=/nonexistent/home", s"-Djava.io.tmpdir=$temporary",
        "-cp", System.getProperty("java.class.path"), "io.rollcall.engine.text.TokenizerProcess", "a b")
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
    }
    val expected = tokenizer.encode("a b", true).length
    assert(processes.map(_.waitFor()) == Seq.fill(3)(expected))
    assert(Files.list(temporary).iterator.asScala.isEmpty)
  }

  test("loading leaves the process's properties and HOME as they were") {
    tokenizer.encode("x", true)
    for (property <- Seq("ai.djl.offline", "ENGINE_CACHE_DIR", "jna.tmpdir"))
      assert(System.getProperty(property) == null, property)
  }
}
