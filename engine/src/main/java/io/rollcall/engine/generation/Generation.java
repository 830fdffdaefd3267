package io.rollcall.engine.generation;

/**
 * What became of one prompt.
 *
 * @param output generated text, empty for an error
 * @param error null unless the finish reason is ERROR
 * @param promptTokens tokens of the templated prompt; 0 where it was never encoded
 * @param outputTokens generated tokens, the end token counted
 * @param ownDensity mean fraction of neurons that this sequence called, over its decode steps and
 *     layers; NaN without a decode step
 * @param unionDensity mean fraction of neurons in the unions it was part of, likewise
 */
public record Generation(
    String id,
    String output,
    FinishReason finishReason,
    String error,
    int promptTokens,
    int outputTokens,
    double ownDensity,
    double unionDensity) {

  public static Generation error(String id, String error, int promptTokens) {
    return new Generation(
        id, "", FinishReason.ERROR, error, promptTokens, 0, Double.NaN, Double.NaN);
  }
}
