package io.rollcall.engine.calibration;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.evaluation.ReferenceReader;
import io.rollcall.engine.evaluation.ReferencedDocument;
import io.rollcall.engine.evaluation.TeacherForcedRunner;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.text.PromptTemplate;
import java.io.Serializable;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;

/**
 * Runs the decode steps of documents densely, for whoever observes them: along the references of those
 * that have one, teacher-forced, or along the model's own continuations.
 */
public final class DecodePositions {
  private final LoadedModel model;
  private final ModelFiles files;
  private final PromptTemplate template;
  private final GenerationOptions options;
  private final int workers;

  /** @param reference what the prompt should be answered with; null to let the model answer */
  public record Document(String id, String prompt, String reference) implements Serializable {}

  /**
   * @param files of the model; null where no document has a reference
   * @param options batch size and context, and how continuations are decoded
   */
  public DecodePositions(
      LoadedModel model,
      ModelFiles files,
      PromptTemplate template,
      GenerationOptions options,
      int workers) {
    this.model = model;
    this.files = files;
    this.template = template;
    this.options = options;
    this.workers = workers;
  }

  /** The model's own continuations, decoded another way. */
  public DecodePositions with(GenerationOptions others) {
    return new DecodePositions(model, files, template, others, workers);
  }

  /**
   * Shows a method's scores at the positions of the model's own continuations. Prompts that cannot be
   * answered are passed over.
   *
   * @param predictors null for a method without
   */
  public void continuations(
      Iterator<Document> documents, Method method, Predictors predictors, ScoreObserver observer) {
    Iterator<Prompt> prompts =
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return documents.hasNext();
          }

          @Override
          public Prompt next() {
            Document document = documents.next();
            return new Prompt(document.id(), document.prompt());
          }
        };
    try (ModelRunner runner = observed(method, predictors, observer);
        Generator generator = new Generator(model, template, options, prompts, runner)) {
      generator.forEachRemaining(generation -> {});
    }
  }

  /**
   * Shows a method's scores at the positions that predict the references' tokens. Documents without a
   * prompt or a reference, and those longer than the context, are passed over.
   *
   * @param predictors null for a method without
   */
  public void references(
      Iterator<Document> documents, Method method, Predictors predictors, ScoreObserver observer) {
    try (TeacherForcedRunner runner =
        new TeacherForcedRunner(
            model,
            options.batchSize(),
            options.context(),
            List.of(observed(method, predictors, observer)))) {
      runner.run(new Encoded(documents), (document, position, next, batch, logits, offset) -> {});
    }
  }

  private ModelRunner observed(Method method, Predictors predictors, ScoreObserver observer) {
    RunnerOptions runner =
        new RunnerOptions(
            options.batchSize(), options.context(), options.sampling(), Set.of(), workers);
    return predictors == null
        ? model.observed(method, observer, runner)
        : model.observed(method, predictors, observer, runner);
  }

  /** Encodes documents as they are asked for, those that fit. */
  private final class Encoded implements Iterator<ReferencedDocument> {
    private final Iterator<Document> documents;
    private final ReferenceReader reader = new ReferenceReader(model.model(), files, template);
    private ReferencedDocument next;
    private int index;

    Encoded(Iterator<Document> documents) {
      this.documents = documents;
    }

    @Override
    public boolean hasNext() {
      while (next == null && documents.hasNext()) {
        next = encoded(documents.next());
      }
      return next != null;
    }

    @Override
    public ReferencedDocument next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      ReferencedDocument document = next;
      next = null;
      return document;
    }

    /** Null where it cannot be run. */
    private ReferencedDocument encoded(Document document) {
      if (blank(document.prompt()) || blank(document.reference())) {
        return null;
      }
      return reader
          .fitting(
              index++, document.id(), document.prompt(), document.reference(), options.context())
          .orElse(null);
    }

    private static boolean blank(String text) {
      return text == null || text.isBlank();
    }
  }
}
