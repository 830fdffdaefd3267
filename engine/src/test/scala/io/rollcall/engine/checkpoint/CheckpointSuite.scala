package io.rollcall.engine.checkpoint

import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.file.{Files, Path}
import java.security.MessageDigest

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.kernels.WeightType

class CheckpointSuite extends AnyFunSuite {
  import StoredTensor._
  import TinyCheckpoint._

  private def checkpoint(tensors: StoredTensor*): Path = {
    val at = directory()
    write(at, "config.json", "{}")
    safetensors(at, "model.safetensors", tensors)
    at
  }

  private def open(directory: Path): Checkpoint = Checkpoint.open(ModelFiles.directory(directory))

  private def refusal(directory: Path)(use: Checkpoint => Any): String = {
    val message = intercept[UserException](use(open(directory))).getMessage
    assert(!message.contains("\n") && message.contains(directory.toString), message)
    message
  }

  private val small = f32("a", Seq(2, 3), Array(1, 2, 3, 4, 5, 6))

  test("f32 elements arrive bit by bit") {
    val values = Array(0f, -0f, 1.1f, Float.MinPositiveValue, Float.MaxValue, Float.NegativeInfinity)
    val tensor = open(checkpoint(f32("t", Seq(6), values))).tensor("t", 6)
    assert(tensor.`type` == WeightType.F32 && tensor.floats.sameElements(values))
  }

  test("every f16 value arrives exactly") {
    val bits = Array.tabulate(65536)(_.toShort)
    val floats = open(checkpoint(bits16("t", "F16", Seq(256, 256), bits))).tensor("t", 256, 256).floats
    for (i <- bits.indices) {
      val (exponent, fraction) = ((i >> 10) & 31, i & 1023)
      val sign = if (i >= 32768) -1.0 else 1.0
      val expected = exponent match {
        case 0  => sign * fraction * math.pow(2, -24)
        case 31 => if (fraction == 0) sign * Double.PositiveInfinity else Double.NaN
        case e  => sign * (1 + fraction / 1024.0) * math.pow(2, e - 15)
      }
      assert(java.lang.Double.compare(floats(i).toDouble, expected) == 0, s"bits $i")
    }
  }

  test("every bf16 value arrives exactly") {
    val bits = Array.tabulate(65536)(_.toShort)
    val floats = open(checkpoint(bits16("t", "BF16", Seq(65536), bits))).tensor("t", 65536).floats
    for (i <- bits.indices)
      assert(java.lang.Float.floatToRawIntBits(floats(i)) >>> 16 == i || floats(i).isNaN, s"bits $i")
  }

  test("tensors that lie beyond 2 GiB of a file are read") {
    val at = directory()
    write(at, "config.json", "{}")
    val far = 2200000000L
    raw(at, "model.safetensors",
      s"""{"big": {"dtype": "U8", "shape": [$far], "data_offsets": [0, $far]},
         | "t": {"dtype": "F32", "shape": [1], "data_offsets": [$far, ${far + 4}]}}""".stripMargin, Array())
    val file = new RandomAccessFile(at.resolve("model.safetensors").toFile, "rw")
    try {
      file.seek(file.length + far)
      file.writeInt(Integer.reverseBytes(java.lang.Float.floatToRawIntBits(2.5f)))
    } finally file.close()
    assert(open(at).tensor("t", 1).floats.sameElements(Array(2.5f)))
    Files.delete(at.resolve("model.safetensors"))
  }

  test("shards hold the same tensors as a single file") {
    val all = tensors(3, bf16)
    val single = checkpoint(all: _*)
    val sharded = directory()
    write(sharded, "config.json", "{}")
    val shards = all.grouped(7).zipWithIndex.map { case (g, i) => s"model-0000$i.safetensors" -> g }.toSeq
    shards.foreach { case (file, group) => safetensors(sharded, file, group) }
    index(sharded, shards)
    for (t <- all)
      assert(open(sharded).tensor(t.name, t.shape: _*).floats
        .sameElements(open(single).tensor(t.name, t.shape: _*).floats), t.name)
  }

  test("a missing shard is named with the index that wants it") {
    val at = directory()
    write(at, "config.json", "{}")
    index(at, Seq("model-1.safetensors" -> Seq(small), "model-2.safetensors" -> Seq(small.copy(name = "b"))))
    safetensors(at, "model-1.safetensors", Seq(small))
    assert(refusal(at)(identity).contains("has no model-2.safetensors, one of the 2 shards"))
  }

  test("a checkpoint without safetensors says so") {
    val at = directory()
    write(at, "config.json", "{}")
    assert(refusal(at)(identity).contains("only safetensors checkpoints"))
  }

  test("a truncated file names what was expected and what was found") {
    val at = checkpoint(small)
    val file = at.resolve("model.safetensors")
    val whole = Files.readAllBytes(file)
    for (length <- Seq(whole.length - 1, whole.length - 24, 20, 7, 0)) {
      Files.write(file, whole.take(length))
      val message = refusal(at)(identity)
      assert(message.contains("'model.safetensors'") && message.contains("is truncated: expected"), message)
      assert(message.contains(s"found $length") && message.endsWith("download it again"), message)
    }
  }

  test("a corrupted file is refused whatever is wrong with its header") {
    def header(text: String): Path = {
      val at = directory()
      write(at, "config.json", "{}")
      raw(at, "model.safetensors", text, new Array[Byte](8))
      at
    }
    def tensor(fields: String) = s"""{"t": {$fields}}"""
    val wrong = Seq(
      "not JSON",
      "[1, 2]",
      "{\"t\": 3}",
      tensor("\"dtype\": \"F32\", \"shape\": [2]"),
      tensor("\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 0]"),
      tensor("\"dtype\": \"F32\", \"shape\": [3], \"data_offsets\": [0, 8]"),
      tensor("\"dtype\": \"F32\", \"shape\": [-2], \"data_offsets\": [0, 8]"),
      tensor("\"dtype\": \"F32\", \"shape\": [4611686018427387904, 4], \"data_offsets\": [0, 8]"),
      tensor("\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]"))
    for (text <- wrong) {
      val message = refusal(header(text))(identity)
      assert(message.contains("is corrupted") && message.endsWith("download it again"), message)
    }
  }

  test("an absurd header length is refused before anything is allocated") {
    for (length <- Seq(-1L, 0L, Long.MaxValue, 1L << 40)) {
      val at = directory()
      write(at, "config.json", "{}")
      val bytes = ByteBuffer.allocate(2048).putLong(java.lang.Long.reverseBytes(length)).array
      Files.write(at.resolve("model.safetensors"), bytes)
      val message = refusal(at)(identity)
      assert(message.contains("found a length of " + java.lang.Long.toUnsignedString(length)), message)
    }
  }

  test("a Git LFS pointer is told from a broken file") {
    val at = directory()
    write(at, "config.json", "{}")
    write(at, "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert(refusal(at)(identity).contains("git lfs pull"))
  }

  test("a tensor of another type is refused with the supported ones") {
    val at = checkpoint(StoredTensor("t", "F8_E4M3", Seq(4), new Array[Byte](4)))
    val message = refusal(at)(_.tensor("t", 4))
    assert(message.contains("type F8_E4M3") && message.contains("F32, F16 and BF16"), message)
  }

  test("a missing tensor and a wrong shape are named") {
    val at = checkpoint(small)
    assert(refusal(at)(_.tensor("b", 1)).contains("has no tensor b in model.safetensors"))
    assert(refusal(at)(_.tensor("a", 3, 2)).contains("tensor a of model") )
    assert(refusal(at)(_.tensor("a", 3, 2)).contains("shape [2, 3] where config.json makes it [3, 2]"))
  }

  test("the digest is what sha256sum over sha256sum's lines gives") {
    def hex(bytes: Array[Byte]) =
      MessageDigest.getInstance("SHA-256").digest(bytes).map(b => f"$b%02x").mkString
    val at = checkpoint(small)
    val lines = Seq("config.json", "model.safetensors")
      .map(f => s"${hex(Files.readAllBytes(at.resolve(f)))}  $f\n").mkString
    assert(open(at).digest == hex(lines.getBytes))
  }

  test("one changed byte of a weight changes the digest") {
    val at = checkpoint(small)
    val before = open(at).digest
    val file = at.resolve("model.safetensors")
    val bytes = Files.readAllBytes(file)
    bytes(bytes.length - 1) = (bytes.last ^ 1).toByte
    Files.write(file, bytes)
    assert(open(at).digest != before)
  }
}
