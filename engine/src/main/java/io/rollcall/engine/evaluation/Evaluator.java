package io.rollcall.engine.evaluation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.Backend;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.text.PromptTemplate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Dense and sparse plans on the same documents: how well each foresees the references ({@link
 * TeacherForcedRunner}), and what it answers by itself. The same documents in the same order give the
 * same scores again, but for the times.
 */
public final class Evaluator {
  /** Most plans beside dense that share its prefill on the CPU. */
  private static final int SIDE_BY_SIDE = 16;

  /** Share of the heap that their keys and values may take; two runners there are at any size. */
  private static final double CACHE_SHARE = 0.125;

  private final LoadedModel model;
  private final ModelFiles files;
  private final PromptTemplate template;
  private final GenerationOptions options;
  private final int workers;
  private final Progress progress;
  private String device;
  private long passes;
  private long tokens;

  /** Hears of an evaluation under way. */
  @FunctionalInterface
  public interface Progress {
    /**
     * @param passes documents done, counted once for each plan's reference and once for its answer
     * @param tokens decoded so far
     */
    void report(long passes, long tokens);
  }

  /** A document with the answer that it should get. */
  public record Document(int index, String id, String text, String reference) {}

  /**
   * @param files that the model was loaded from
   * @param options greedy
   * @param progress called often; may throw, to end the evaluation
   */
  public Evaluator(
      LoadedModel model,
      ModelFiles files,
      PromptTemplate template,
      GenerationOptions options,
      int workers,
      Progress progress) {
    this.model = model;
    this.files = files;
    this.template = template;
    this.options = options;
    this.workers = workers;
    this.progress = progress;
  }

  /**
   * @param plans sparse ones; dense comes of itself, first
   * @throws UserException when a plan is another model's
   */
  public Evaluation evaluate(List<SparsityPlan> plans, List<Document> documents) {
    Readable readable = readable(documents);
    List<Document> texts = readable.texts();
    List<PlanScores> forced = forced(plans, readable.tokens());
    SparsityPlan dense = SparsityPlan.dense(model.digest());
    Answers reference = answers(dense, texts);
    List<PlanScores> scores = new ArrayList<>();
    scores.add(answered(forced.get(0), texts, reference, reference));
    for (int i = 0; i < plans.size(); i++) {
      Answers answers = answers(plans.get(i), texts);
      scores.add(answered(forced.get(i + 1), texts, answers, reference));
    }
    return new Evaluation(scores, readable.leftOut());
  }

  /** The same without the plans' own answers: how well each foresees the references alone. */
  public Evaluation references(List<SparsityPlan> plans, List<Document> documents) {
    Readable readable = readable(documents);
    return new Evaluation(forced(plans, readable.tokens()), readable.leftOut());
  }

  /** Documents that fit, as text and as tokens, and why the others do not. */
  private record Readable(
      List<Document> texts, List<ReferencedDocument> tokens, Map<String, Long> leftOut) {}

  private Readable readable(List<Document> documents) {
    Readable readable = new Readable(new ArrayList<>(), new ArrayList<>(), new TreeMap<>());
    ReferenceReader reader = new ReferenceReader(model.model(), files, template);
    for (Document document : documents) {
      ReferencedDocument read = read(reader, document, readable.leftOut());
      if (read != null) {
        readable.texts().add(document);
        readable.tokens().add(read);
      }
    }
    return readable;
  }

  /** What computed, once something has. */
  public String device() {
    return device;
  }

  private ReferencedDocument read(
      ReferenceReader reader, Document document, Map<String, Long> leftOut) {
    String why;
    try {
      ReferencedDocument read =
          reader.read(document.index(), document.id(), document.text(), document.reference());
      if (read.prompt().length > 0
          && read.reference().length > 0
          && read.positions() < options.context()) {
        return read;
      }
      why =
          read.positions() < options.context()
              ? "no tokens"
              : "longer than the context of " + options.context();
    } catch (UserException e) {
      why = e.getMessage();
    } catch (RuntimeException e) {
      // whatever a template or tokenizer trips over, one document must not fail the job
      why = "cannot be encoded: " + e;
    }
    leftOut.merge(why, 1L, Long::sum);
    return null;
  }

  /** Scores without answers; dense first. */
  private List<PlanScores> forced(List<SparsityPlan> plans, List<ReferencedDocument> documents) {
    int group = sideBySide(longest(documents));
    List<PlanScores> scores = new ArrayList<>();
    for (int from = 0; from == 0 || from < plans.size(); from += group) {
      List<SparsityPlan> beside = new ArrayList<>();
      beside.add(SparsityPlan.dense(model.digest()));
      beside.addAll(plans.subList(from, Math.min(plans.size(), from + group)));
      List<PlanScores> found =
          together(beside, documents, from == 0 ? beside.size() : beside.size() - 1);
      // dense beside later plans gives the same again
      scores.addAll(from == 0 ? found : found.subList(1, found.size()));
    }
    return scores;
  }

  /** Plans beside dense. On a device a pool takes what memory there is, so there one. */
  private int sideBySide(int positions) {
    ModelConfig config = model.config();
    long cache =
        2L * config.layers() * options.batchSize() * positions
            * config.kvHeads() * config.headSize() * Float.BYTES;
    return model.backend() == Backend.CPU
        ? (int) Math.max(1, Math.min(SIDE_BY_SIDE, CACHE_SHARE * Runtime.getRuntime().maxMemory() / cache - 1))
        : 1;
  }

  private static int longest(List<ReferencedDocument> documents) {
    return documents.stream().mapToInt(ReferencedDocument::positions).max().orElse(1);
  }

  /** @param counted plans that count as passes */
  private List<PlanScores> together(
      List<SparsityPlan> plans, List<ReferencedDocument> documents, int counted) {
    ReferenceScorer scorer =
        new ReferenceScorer(options.batchSize(), model.config().vocabulary());
    try (TeacherForcedRunner runner =
        TeacherForcedRunner.of(
            model, plans, options.batchSize(), longest(documents), workers)) {
      device = runner.device();
      runner.run(
          documents.iterator(),
          (document, position, next, batch, logits, offset) -> {
            boolean last = position == document.reference().length - 1;
            done(last ? counted : 0, plans.size());
            scorer.position(document, position, next, batch, logits, offset);
          });
      List<PlanScores> scores = new ArrayList<>();
      for (int r = 0; r < plans.size(); r++) {
        scores.add(scores(scorer, runner, r, documents));
      }
      return scores;
    }
  }

  private static PlanScores scores(
      ReferenceScorer scorer, TeacherForcedRunner runner, int r, List<ReferencedDocument> documents) {
    List<DocumentScore> scores = new ArrayList<>();
    for (ReferencedDocument document : documents) {
      PositionSums sums = scorer.document(document.index(), r);
      scores.add(
          new DocumentScore(
              document.index(),
              sums.tokens(),
              sums.loss(),
              sums.hits(),
              sums.divergence(),
              Double.NaN,
              false));
    }
    Map<Integer, StepSums> steps = new TreeMap<>();
    runner
        .statistics(r)
        .forEach(layer -> steps.merge(layer.batchSize(), StepSums.of(layer), StepSums::plus));
    return new PlanScores(scores, scorer.smaller(r), steps, PhaseTimes.NONE);
  }

  private record Answers(Map<String, String> texts, PhaseTimes times) {}

  private Answers answers(SparsityPlan plan, List<Document> documents) {
    var prompts =
        documents.stream().map(d -> new Prompt(Integer.toString(d.index()), d.text())).iterator();
    try (Generator generator =
        new Generator(model, plan, template, options, workers, prompts)) {
      device = generator.device();
      Map<String, String> texts = new HashMap<>();
      while (generator.hasNext()) {
        Generation generation = generator.next();
        done(1, generation.outputTokens());
        texts.put(generation.id(), generation.output());
      }
      return new Answers(texts, generator.times());
    }
  }

  private void done(int passes, int tokens) {
    this.passes += passes;
    this.tokens += tokens;
    progress.report(this.passes, this.tokens);
  }

  private static PlanScores answered(
      PlanScores forced, List<Document> documents, Answers answers, Answers dense) {
    List<DocumentScore> scores = new ArrayList<>();
    for (int i = 0; i < documents.size(); i++) {
      Document document = documents.get(i);
      String id = Integer.toString(document.index());
      String answer = answers.texts().get(id);
      scores.add(
          forced
              .documents()
              .get(i)
              .answered(
                  RougeL.score(document.reference(), answer),
                  answer.equals(dense.texts().get(id))));
    }
    return new PlanScores(scores, forced.smaller(), forced.steps(), answers.times());
  }
}
