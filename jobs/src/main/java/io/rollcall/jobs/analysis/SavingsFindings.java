package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.count;
import static io.rollcall.jobs.analysis.Numbers.seconds;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/** What people ask of finished runs: each answer in pictures, two sentences and a table. */
public final class SavingsFindings {
  private final Evidence runs;

  /**
   * @param evaluated what evaluate found for these or other configurations; may be empty
   * @param hourPrice of a GPU, or of whatever a task computes on; empty leaves costs in hours
   */
  public SavingsFindings(Savings savings, List<Metrics> evaluated, OptionalDouble hourPrice) {
    this.runs = Evidence.of(savings, evaluated, hourPrice);
  }

  /** All questions, in the order in which people ask them. */
  public List<Finding> all() {
    return List.of(bytes(), unions(), crossover(), replay(), cost(), drift(), quality());
  }

  /** Where do the bytes go, by layer and method? */
  public Finding bytes() {
    return new BytesFinding(runs).finding();
  }

  /** How does the union grow with the batch against independent rows, by layer? */
  public Finding unions() {
    return new UnionFinding(runs).finding();
  }

  /** Which layers crossed over to dense, and why? */
  public Finding crossover() {
    return new CrossoverFinding(runs).finding();
  }

  /** What would other batch sizes or budgets have saved? Estimates. */
  public Finding replay() {
    return new ReplayFinding(runs).finding();
  }

  /** What does a million tokens cost, dense and sparse? */
  public Finding cost() {
    return new CostFinding(runs).finding();
  }

  /** How did own density drift from the calibration's, over runs? */
  public Finding drift() {
    return new DriftFinding(runs).finding();
  }

  /** What did the bytes saved cost in quality? */
  public Finding quality() {
    return new QualityFinding(runs).finding();
  }

  /** What evaluate found for a run's own configuration; empty where not known. */
  public Optional<Metrics> loss() {
    return runs.known().flatMap(runs::quality).map(Quality::of);
  }

  /** The partitions that kept their device busy longest. */
  public DataTable slowest() {
    DataTable table =
        DataTable.of(
            "Run", "#Partition", "Host", "#Rows", "#Generated", "#Prefill", "#Decode", "#Together");
    for (Run.Partition partition : runs.savings().slowest()) {
      table.row(
          partition.runId(),
          count(partition.partition()),
          partition.host(),
          count(partition.rows()),
          count(partition.outputTokens()),
          seconds(partition.prefillSeconds()),
          seconds(partition.decodeSeconds()),
          seconds(partition.seconds()));
    }
    return table;
  }

  /** Error rows by what was wrong. */
  public DataTable errors() {
    DataTable table = DataTable.of("Error", "#Rows");
    runs.savings().errors().forEach(kind -> table.row(kind.error(), count(kind.rows())));
    return table;
  }
}
