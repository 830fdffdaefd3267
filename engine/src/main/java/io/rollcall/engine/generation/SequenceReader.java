package io.rollcall.engine.generation;

import io.rollcall.engine.sampling.RandomStream;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Consumer;

/** Turns prompts into sequences; a prompt that cannot be answered becomes an error generation. */
final class SequenceReader implements Iterator<Sequence> {
  private final Iterator<EncodedPrompt> prompts;
  private final long seed;
  private final Consumer<Generation> rejected;
  private Sequence next;

  /** @param rejected receives the error generations, as they are met */
  SequenceReader(Iterator<EncodedPrompt> prompts, long seed, Consumer<Generation> rejected) {
    this.prompts = prompts;
    this.seed = seed;
    this.rejected = rejected;
  }

  @Override
  public boolean hasNext() {
    while (next == null && prompts.hasNext()) {
      EncodedPrompt prompt = prompts.next();
      if (prompt.error() == null) {
        next =
            new Sequence(prompt.id(), prompt.tokens(), new RandomStream(seed, prompt.id()));
      } else {
        rejected.accept(Generation.error(prompt.id(), prompt.error(), prompt.count()));
      }
    }
    return next != null;
  }

  @Override
  public Sequence next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    Sequence sequence = next;
    next = null;
    return sequence;
  }
}
