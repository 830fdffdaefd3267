package io.rollcall.engine.generation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.engine.text.PromptTemplate;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Consumer;

/** Turns prompts into sequences; a prompt that cannot be answered becomes an error generation. */
final class PromptReader implements Iterator<Sequence> {
  private final Iterator<Prompt> prompts;
  private final PromptTemplate template;
  private final GenerationOptions options;
  private final Consumer<Generation> rejected;
  private Sequence next;

  /** @param rejected receives the error generations, as they are met */
  PromptReader(
      Iterator<Prompt> prompts,
      PromptTemplate template,
      GenerationOptions options,
      Consumer<Generation> rejected) {
    this.prompts = prompts;
    this.template = template;
    this.options = options;
    this.rejected = rejected;
  }

  @Override
  public boolean hasNext() {
    while (next == null && prompts.hasNext()) {
      next = read(prompts.next());
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

  private Sequence read(Prompt prompt) {
    if (prompt.text() == null) {
      return reject(prompt, "prompt is null", 0);
    }
    if (prompt.text().isBlank()) {
      return reject(prompt, "prompt is empty", 0);
    }
    int[] tokens;
    try {
      tokens = template.encode(prompt.text());
    } catch (UserException e) {
      return reject(prompt, e.getMessage(), 0);
    } catch (RuntimeException e) {
      // whatever a template or tokenizer trips over, one prompt must not fail the job
      return reject(prompt, "prompt cannot be encoded: " + e, 0);
    }
    if (tokens.length == 0) {
      return reject(prompt, "prompt has no tokens", 0);
    }
    if (tokens.length >= options.context()) {
      return reject(
          prompt,
          String.format(
              "prompt has %d tokens and the context %d, with no room for an answer",
              tokens.length, options.context()),
          tokens.length);
    }
    return new Sequence(prompt.id(), tokens, new RandomStream(options.seed(), prompt.id()));
  }

  private Sequence reject(Prompt prompt, String why, int tokens) {
    rejected.accept(Generation.error(prompt.id(), why, tokens));
    return null;
  }
}
