package io.rollcall.jobs.evaluate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.evaluation.Bootstrap;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.engine.evaluation.PlanScores;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.SparsityPlanner;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.Progress;
import io.rollcall.jobs.runtime.TaskSlots;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Compares sparsity profiles with dense on documents with references, and says which to adopt.
 *
 * <p>Methods at sparsities get thresholds from documents that are held out: the first ones by a hash of
 * the id, and not evaluated. The same request gives the same metrics again, but for the
 * speeds, with as many task slots or with --partitions: a batch's mates are those of its partition.
 */
public final class EvaluateAction {
  /** As many as generate calibrates on, where the corpus is four times that. */
  private static final int CALIBRATION_DOCUMENTS = 64;

  private static final int CALIBRATION_SHARE = 4;
  /** Batches of a task: its last one runs out of documents and is not counted. */
  private static final int BATCHES_PER_TASK = 8;

  private final SparkSession spark;
  private final EvaluateRequest request;
  private final Configuration configuration;
  private final long started = System.nanoTime();
  private Progress progress = Progress.NONE;

  public EvaluateAction(SparkSession spark, EvaluateRequest request) {
    this.spark = spark;
    this.request = request;
    configuration = spark.sessionState().newHadoopConf();
  }

  /** Says what is being done, and how far it is. */
  public EvaluateAction progress(Progress shown) {
    progress = shown;
    return this;
  }

  /**
   * Runs the evaluation.
   *
   * @throws UserException for an input, model or profile that cannot be used, or too few documents
   */
  public EvaluateResult execute() {
    SparkContext context = spark.sparkContext();
    context.setJobGroup(
        "rollcall evaluate", "rollcall evaluate: " + request.input().path(), true);
    try {
      return evaluate();
    } finally {
      context.clearJobGroup();
    }
  }

  private EvaluateResult evaluate() {
    MetricsFile file = new MetricsFile(request.output(), configuration);
    PromptTable table = PromptTable.open(spark, request.input(), request.references());
    List<Document> documents = documents(table);
    TaskSetup setup = TaskSetup.of(request.model(), request.decoding(), configuration);
    TaskSlots.check(spark.sparkContext(), request.model());
    ModelFiles files = ModelRegistry.process().files(request.model(), configuration);
    try (Model model = ModelReader.described(files)) {
      String templateName = setup.template().of(model, files).name();
      List<Document> heldOut = heldOut(documents);
      List<Document> evaluated =
          documents.subList(heldOut.size(), documents.size());
      requireBatch(documents.size(), heldOut.size());
      List<Candidate> candidates =
          new Candidates(
                  new SparsityPlanner(model, files),
                  calibration(setup, heldOut),
                  file,
                  configuration)
              .of(request.sparsities());
      int partitions = partitions(evaluated.size());
      List<EvaluationTask.Outcome> outcomes = run(candidates, evaluated, setup, partitions);
      Evaluation evaluation = EvaluationTask.sum(outcomes);
      List<Metrics> metrics = metrics(candidates, evaluation);
      Adoption adoption = Adoption.of(metrics, request.maxLoss());
      file.put("model", request.model().name())
          .put("model_digest", model.digest())
          .put("weights", request.model().weights().name().toLowerCase(Locale.ROOT))
          .put("template", templateName)
          .put("input", request.input().path())
          .put("references_column", request.references())
          .put("documents", evaluation.documents())
          .put("calibration_documents", heldOut.size())
          .put("left_out", evaluation.leftOut())
          .put("partitions", partitions)
          .put("max_new_tokens", request.decoding().maxNewTokens())
          .put("seed", request.decoding().seed())
          .put("max_loss", request.maxLoss())
          .put("devices", devices(outcomes))
          .put("adopt", adoption.metrics() == null ? null : adoption.metrics().profile())
          .put("adoption", adoption.sentence())
          .put("configs", metrics);
      return new EvaluateResult(
          file.write(),
          evaluation.documents(),
          adoption.sentence(),
          (System.nanoTime() - started) / 1e9,
          new MetricsPage(metrics, evaluation, heldOut.size(), adoption, file.path()).lines());
    }
  }

  private List<Document> documents(PromptTable table) {
    long rows = table.requireRows();
    List<Document> documents = table.referenced();
    if (documents.isEmpty()) {
      throw table.withoutReferences(rows);
    }
    if (documents.size() < rows) {
      progress.say(
          (rows - documents.size())
              + " rows have no id, prompt or reference of their own and are left out");
    }
    return documents;
  }

  /** Documents for calibration; none where all thresholds are given. */
  private List<Document> heldOut(List<Document> documents) {
    boolean calibrates =
        request.sparsities().isEmpty()
            || request.sparsities().stream().anyMatch(sparsity -> sparsity.profile() == null);
    int share = Math.max(1, documents.size() / CALIBRATION_SHARE);
    int count = Math.min(CALIBRATION_DOCUMENTS, share);
    return documents.subList(0, calibrates ? count : 0);
  }

  private void requireBatch(int documents, int heldOut) {
    int batch = request.decoding().batchSize();
    if (documents - heldOut < batch) {
      throw new UserException(
          String.format(
              "input '%s' has %d documents with a reference, of which %d calibrate thresholds, too few"
                  + " to have %d in flight; give more documents or a smaller --batch-size",
              request.input().path(), documents, heldOut, batch));
    }
  }

  private SparsityPlanner.Calibration calibration(
      TaskSetup setup, List<Document> heldOut) {
    SparsityPlanner.Calibration calibration =
        CalibrationJob.onPrompts(
            JavaSparkContext.fromSparkContext(spark.sparkContext()),
            setup,
            () -> heldOut.stream().map(Document::prompt).toList(),
            heldOut.size() + " held-out documents of " + request.input().path());
    return (method, union, sparsity) -> {
      progress.say("calibrating " + method + " at sparsity " + sparsity + " for union " + union);
      return calibration.calibrate(method, union, sparsity);
    };
  }

  private List<EvaluationTask.Outcome> run(
      List<Candidate> candidates,
      List<Document> documents,
      TaskSetup setup,
      int partitions) {
    progress.say(
        String.format(
            "evaluating dense and %d profiles on %,d documents in %d tasks",
            candidates.size() - 1, documents.size(), partitions));
    String runId = UUID.randomUUID().toString();
    EvaluationTask.Work work =
        new EvaluationTask.Work(
            runId, setup, candidates.stream().skip(1).map(Candidate::profile).toList(), true);
    try (var shown = progress.show(runId, documents.size())) {
      return EvaluationTask.run(
          JavaSparkContext.fromSparkContext(spark.sparkContext()), work, documents, partitions);
    }
  }

  private int partitions(int documents) {
    if (request.partitions() > 0) {
      return Math.min(request.partitions(), documents);
    }
    int slots = TaskSlots.of(spark.sparkContext(), request.model());
    return request.decoding().tasks(documents, BATCHES_PER_TASK, slots);
  }

  private List<Metrics> metrics(List<Candidate> candidates, Evaluation evaluation) {
    PlanScores dense = evaluation.plans().get(0);
    int batch = request.decoding().batchSize();
    if (dense.documents().stream().allMatch(document -> document.tokens() == 0)) {
      throw new UserException(
          String.format(
              "no step had %d documents in flight: %d were evaluated and left out were %s; give more"
                  + " documents, a smaller --batch-size or fewer --partitions",
              batch, evaluation.documents(), evaluation.leftOut()));
    }
    Bootstrap bootstrap = new Bootstrap(evaluation.documents(), request.decoding().seed());
    return IntStream.range(0, candidates.size())
        .mapToObj(
            i -> Metrics.of(candidates.get(i), batch, evaluation.plans().get(i), dense, bootstrap))
        .toList();
  }

  private static TreeSet<String> devices(List<EvaluationTask.Outcome> outcomes) {
    TreeSet<String> devices = new TreeSet<>();
    outcomes.forEach(outcome -> devices.add(outcome.device()));
    return devices;
  }
}
