package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** How a decode step decides which neurons a sequence calls. */
public enum Method {
  DENSE("dense"),
  /** abs(act(W_gate x)) above the threshold: CATS, arXiv 2404.08763. */
  CATS("cats"),
  /** abs(W_up x) above the threshold: COUNTDOWN, arXiv 2505.17701. */
  M_COUNTDOWN("m-countdown"),
  /** A low-rank predictor's logit above the threshold: COUNTDOWN. */
  D_COUNTDOWN("d-countdown"),
  /** abs(act(W_gate x) * W_up x) above the threshold: COUNTDOWN's ideal, for calibration. */
  D_COUNTDOWN_ORACLE("d-countdown-oracle"),
  /** As d-countdown, for the score times the norm of the down-projection row. */
  S_COUNTDOWN("s-countdown"),
  S_COUNTDOWN_ORACLE("s-countdown-oracle");

  private final String label;

  Method(String label) {
    this.label = label;
  }

  /** @throws UserException naming the methods there are */
  public static Method parse(String name) {
    return Arrays.stream(values())
        .filter(method -> method.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new UserException(
                    "unknown method '" + name + "'; use one of " + labels()));
  }

  private static String labels() {
    return Arrays.stream(values()).map(Method::toString).collect(Collectors.joining(", "));
  }

  public boolean sparse() {
    return this != DENSE;
  }

  /** Whether it needs a trained predictor, which a profile names. */
  public boolean needsPredictor() {
    return this == D_COUNTDOWN || this == S_COUNTDOWN;
  }

  /**
   * The method that this one predicts the calls of; itself where it predicts none.
   */
  public Method oracle() {
    return switch (this) {
      case D_COUNTDOWN -> D_COUNTDOWN_ORACLE;
      case S_COUNTDOWN -> S_COUNTDOWN_ORACLE;
      default -> this;
    };
  }

  /**
   * The method whose score is the factor of act(g) * u that this one's score leaves out; null where it
   * leaves out none.
   */
  public Method otherFactor() {
    return switch (this) {
      case CATS -> M_COUNTDOWN;
      case M_COUNTDOWN -> CATS;
      default -> null;
    };
  }

  /** Whether {@link NeuronScales} can stand for what its score leaves out. */
  public boolean scalable() {
    return otherFactor() != null;
  }

  /** The name on the command line and in tables. */
  @Override
  public String toString() {
    return label;
  }
}
