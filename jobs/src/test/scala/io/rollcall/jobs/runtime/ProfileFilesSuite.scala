package io.rollcall.jobs.runtime

import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException

class ProfileFilesSuite extends AnyFunSuite {
  test("an output that is no path is named") {
    for (output <- Seq("budget:0.8.json", "profiles/budget:0.8.json")) {
      val e = intercept[UserException](new ProfileFiles(output, "predictor", new Configuration()))
      assert(e.getMessage.startsWith(s"cannot write profile '$output': "))
      assert(e.getMessage.endsWith("give a path without colons after its scheme"))
    }
  }
}
