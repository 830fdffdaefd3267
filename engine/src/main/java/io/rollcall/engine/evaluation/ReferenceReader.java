package io.rollcall.engine.evaluation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.checkpoint.TokenizerConfig;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.text.PromptTemplate;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;

/** Encodes documents with their references, which end as the model ends an answer. */
public final class ReferenceReader {
  private final Model model;
  private final PromptTemplate template;
  private final int[] end;

  /** @param files of the model: its tokenizer's configuration says how an answer ends */
  public ReferenceReader(Model model, ModelFiles files, PromptTemplate template) {
    this.model = model;
    this.template = template;
    end = end(model, files);
  }

  /** @throws io.rollcall.engine.UserException when the template refuses the text */
  public ReferencedDocument read(int index, String id, String text, String reference) {
    int[] answer = model.tokenizer().encode(reference, false);
    int[] ended = Arrays.copyOf(answer, answer.length + end.length);
    System.arraycopy(end, 0, ended, answer.length, end.length);
    return new ReferencedDocument(index, id, template.encode(text), ended);
  }

  /** The same; none where the template refuses the text, or the context is too short for it. */
  public Optional<ReferencedDocument> fitting(
      int index, String id, String text, String reference, int context) {
    try {
      return Optional.of(read(index, id, text, reference)).filter(d -> d.positions() <= context);
    } catch (UserException e) {
      return Optional.empty();
    }
  }

  /** The token that the tokenizer names, where the model ends with it; of others the lowest, if any. */
  private static int[] end(Model model, ModelFiles files) {
    Set<Integer> ends = model.config().endTokens();
    int[] named =
        TokenizerConfig.read(files)
            .end()
            .map(text -> model.tokenizer().encode(text, false))
            .orElse(new int[0]);
    if (named.length == 1 && ends.contains(named[0])) {
      return named;
    }
    return ends.stream().mapToInt(Integer::intValue).sorted().limit(1).toArray();
  }
}
