package io.rollcall.jobs.evaluate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.generate.SparsityPlanner;
import io.rollcall.jobs.generate.SparsityRequest;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Finds the thresholds of what is compared, and keeps those that were calibrated for it. */
final class Candidates {
  private final SparsityPlanner planner;
  private final SparsityPlanner.Calibration calibration;
  private final MetricsFile output;
  private final Configuration configuration;

  Candidates(
      SparsityPlanner planner,
      SparsityPlanner.Calibration calibration,
      MetricsFile output,
      Configuration configuration) {
    this.planner = planner;
    this.calibration = calibration;
    this.output = output;
    this.configuration = configuration;
  }

  /**
   * Dense, then what was asked for.
   *
   * @throws UserException for a profile that cannot be used, naming its file
   */
  List<Candidate> of(List<SparsityRequest> asked) {
    List<Candidate> candidates = new ArrayList<>();
    candidates.add(
        new Candidate(null, planner.profile(SparsityRequest.dense(), calibration, configuration)));
    for (SparsityRequest sparsity :
        asked.isEmpty() ? List.of(SparsityRequest.unspecified()) : asked) {
      candidates.add(candidate(sparsity));
    }
    return candidates;
  }

  private Candidate candidate(SparsityRequest sparsity) {
    SparsityProfile profile;
    try {
      profile = planner.profile(sparsity, calibration, configuration);
    } catch (UserException e) {
      if (sparsity.profile() == null || e.getMessage().contains(sparsity.profile())) {
        throw e;
      }
      throw new UserException("--profile " + sparsity.profile() + ": " + e.getMessage(), e);
    }
    if (sparsity.profile() != null) {
      return new Candidate(sparsity.profile(), profile);
    }
    boolean own = sparsity.sparsity() == null;
    return new Candidate(own ? null : output.writeProfile(profile), profile);
  }
}
