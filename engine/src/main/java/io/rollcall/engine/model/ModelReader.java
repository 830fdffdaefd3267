package io.rollcall.engine.model;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.Checkpoint;
import io.rollcall.engine.checkpoint.Manifest;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Reads a checkpoint: opened, its tensors are there for a backend to load while the digest over the
 * same files is under way. Closed before {@link #finish}, it lets go of what it had read.
 */
public final class ModelReader implements AutoCloseable {
  private final ModelFiles files;
  private final ModelTensors tensors;
  private final TextTokenizer tokenizer;
  private final PromptTemplate template;
  private final CompletableFuture<String> digest;
  private boolean finished;

  private ModelReader(ModelFiles files) {
    this.files = files;
    ModelConfig config = ModelConfig.read(files);
    Checkpoint checkpoint = Checkpoint.open(files);
    tensors = new ModelTensors(checkpoint, config);
    digest = CompletableFuture.supplyAsync(checkpoint::digest);
    tokenizer = TextTokenizer.load(files);
    try {
      template = PromptTemplate.defaultOf(files, tokenizer);
    } catch (RuntimeException e) {
      tokenizer.close();
      throw e;
    }
  }

  /** @throws UserException for a missing, truncated or unsupported part */
  public static ModelReader open(ModelFiles files) {
    return new ModelReader(files);
  }

  /**
   * What is known of a model without its weights.
   *
   * @throws UserException for a missing, truncated or unsupported part
   */
  public static Model described(ModelFiles files) {
    try (ModelReader reader = open(files)) {
      return reader.finish();
    }
  }

  /** Those of the checkpoint, for a backend to load. */
  public ModelTensors tensors() {
    return tensors;
  }

  /**
   * The model, when its digest is known.
   *
   * @throws UserException when the files are not those that a manifest beside them tells of
   */
  public Model finish() {
    String found = digest();
    Manifest.read(files).ifPresent(manifest -> manifest.check(files, found));
    finished = true;
    return new Model(files.name(), found, tensors.config(), tokenizer, template);
  }

  private String digest() {
    try {
      return digest.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof UserException told ? told : e;
    }
  }

  @Override
  public void close() {
    if (!finished) {
      tokenizer.close();
    }
  }
}
