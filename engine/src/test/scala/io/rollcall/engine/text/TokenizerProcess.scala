package io.rollcall.engine.text

import io.rollcall.engine.checkpoint.ModelFiles

/** What an executor process does first; its exit status is the number of tokens. */
object TokenizerProcess {
  def main(arguments: Array[String]): Unit = {
    val tokenizer = TextTokenizer.load(ModelFiles.locate("builtin:summarizer-20m"))
    sys.exit(tokenizer.encode(arguments(0), true).length)
  }
}
