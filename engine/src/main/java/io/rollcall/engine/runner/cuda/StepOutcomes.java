package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.DecodeStep;
import io.rollcall.engine.runner.StepRecord;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.kernels.cuda.StepState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Reads what a call's steps left on the device.
 *
 * @param cost of the model's feed-forward
 */
record StepOutcomes(ModelConfig config, SparsityPlan plan, FeedForwardCost cost) {

  /**
   * @param n sequences of the call
   * @return the steps that had a sequence
   */
  List<DecodeStep> of(int n, DecodeCalls.Result result, SparsityCounters counters) {
    int[] tokens = result.tokens();
    int[] records = result.records();
    List<DecodeStep> outcomes = new ArrayList<>();
    for (int step = 0; step < result.steps(); step++) {
      int at = step * StepState.MAX_BATCH;
      int[] sampled = Arrays.copyOfRange(tokens, at, at + n);
      int active = (int) Arrays.stream(sampled).filter(token -> token != DecodeStep.NONE).count();
      if (active == 0) {
        break;
      }
      StepRecord record = new StepRecord(counters, n, active);
      for (int layer = 0; layer < config.layers(); layer++) {
        if (plan.method().sparse()) {
          int from = (step * config.layers() + layer) * StepState.RECORD_STRIDE;
          sparse(record, layer, records, from);
        } else {
          dense(record, layer, sampled);
        }
      }
      outcomes.add(record.finish(sampled));
    }
    return outcomes;
  }

  private void sparse(StepRecord record, int layer, int[] records, int from) {
    int union = records[from];
    boolean dense = records[from + 1] != 0;
    int rows = dense ? config.intermediateSize() : union;
    long read = cost.read(plan.method(), rows, plan.profile().predictorBytes());
    read += cost.read(plan.profile().neuronScales());
    if (!dense || plan.union() instanceof UnionStrategy.Own) {
      read += cost.read(plan.profile().correction(layer));
    }
    record.layer(layer, records, from + 2, union, dense, read);
  }

  private void dense(StepRecord record, int layer, int[] sampled) {
    int f = config.intermediateSize();
    int[] called =
        Arrays.stream(sampled).map(token -> token == DecodeStep.NONE ? 0 : f).toArray();
    record.layer(layer, called, 0, f, false, cost.dense());
  }
}
