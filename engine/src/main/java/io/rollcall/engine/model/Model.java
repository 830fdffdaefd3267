package io.rollcall.engine.model;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.Checkpoint;
import io.rollcall.engine.checkpoint.Manifest;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;
import io.rollcall.kernels.WeightType;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * A loaded model: immutable, shared by every task of a process.
 *
 * @param name how the user named it
 * @param digest hex SHA-256 over the checkpoint's config and weights; what a profile is tied to
 * @param weightType precision of the feed-forward weights
 * @param template the template used where none is asked for
 */
public record Model(
    String name,
    String digest,
    ModelConfig config,
    WeightType weightType,
    ModelWeights weights,
    TextTokenizer tokenizer,
    PromptTemplate template)
    implements AutoCloseable {

  /**
   * Loads a checkpoint.
   *
   * @param weights how feed-forward weights are held: BF16 keeps every tensor as stored (f32 and f16
   *     checkpoints too), INT8 and INT4 quantise gate, up and down
   * @throws UserException for a missing, truncated or unsupported part
   */
  public static Model load(ModelFiles files, WeightType weights) {
    ModelConfig config = ModelConfig.read(files);
    Checkpoint checkpoint = Checkpoint.open(files);
    CompletableFuture<String> digest = CompletableFuture.supplyAsync(checkpoint::digest);
    TextTokenizer tokenizer = TextTokenizer.load(files);
    try {
      PromptTemplate template = PromptTemplate.defaultOf(files, tokenizer);
      ModelWeights loaded = new WeightLoader(checkpoint, config, weights).load();
      String found = finished(digest);
      Manifest.read(files).ifPresent(manifest -> manifest.check(files, found));
      return new Model(files.name(), found, config, weights, loaded, tokenizer, template);
    } catch (RuntimeException e) {
      tokenizer.close();
      throw e;
    }
  }

  private static String finished(CompletableFuture<String> digest) {
    try {
      return digest.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof UserException told ? told : e;
    }
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
