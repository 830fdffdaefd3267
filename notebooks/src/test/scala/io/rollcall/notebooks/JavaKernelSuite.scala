package io.rollcall.notebooks

import org.scalatest.funsuite.AnyFunSuite

/** Cells as Jupyter sends them. */
class JavaKernelSuite extends AnyFunSuite {
  private lazy val kernel = JavaKernel.create()

  test("a cell's value is its last expression's, an object of this process") {
    assert(kernel.evalRaw("int a = 3;\nint b = a + 1;\na * b") == 12)
    assert(kernel.evalRaw("List.of(a, b)") == java.util.List.of(3, 4))
    assert(kernel.evalRaw("Thread.currentThread()") eq Thread.currentThread())
  }

  test("statements and declarations have no value") {
    assert(kernel.evalRaw("2 + 2;\nvoid f() {}") == null)
    assert(kernel.evalRaw("for (int i = 0; i < 3; i++) { }") == null)
    assert(kernel.evalRaw("  \n") == null)
  }

  test("classes of the class path can be used, Rollcall's and Spark's") {
    assert(kernel.evalRaw("io.rollcall.jobs.Version.current()") == io.rollcall.jobs.Version.current())
    assert(kernel.evalRaw("org.apache.spark.package$.MODULE$.SPARK_VERSION()").toString.startsWith("4."))
  }

  test("what does not compile, end or succeed says so and ends the cell") {
    assert(intercept[IllegalArgumentException](kernel.evalRaw("int c = \"x\"; int d = 1;"))
      .getMessage.contains("in: int c"))
    assert(intercept[IllegalArgumentException](kernel.evalRaw("if (true) {"))
      .getMessage.contains("ends within a statement"))
    val thrown = intercept[IllegalStateException](
      kernel.evalRaw("throw new java.io.IOException(\"no disk\");"))
    assert(thrown.getMessage.contains("no disk"))
    assert(thrown.getCause.isInstanceOf[java.io.IOException])
  }

  test("names are completed and statements known to be whole") {
    val completed = kernel.complete("\"x\".isBl", 8)
    assert(completed.getReplacements.contains("isBlank()"))
    assert(kernel.isComplete("int e = 1;") == "complete")
    assert(kernel.isComplete("for (;;) {") == "  ")
  }
}
