package io.rollcall.jobs.runtime;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.runner.CpuModel;
import io.rollcall.engine.runner.LoadedModel;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;

/**
 * The models of this process: each is loaded by the first task that asks for it and shared by all.
 * {@link RollcallPlugin} releases them with the executor; without the plugin they live as long as the
 * process.
 */
public final class ModelRegistry implements AutoCloseable {
  private static final ModelRegistry PROCESS = new ModelRegistry();

  private final Map<ModelSource, CompletableFuture<Loaded>> models = new HashMap<>();

  /** A model and the files it came from, which prompt templates are read out of. */
  public record Loaded(LoadedModel model, ModelFiles files) {}

  /** The registry that all tasks of this process share. */
  public static ModelRegistry process() {
    return PROCESS;
  }

  /** @throws io.rollcall.engine.UserException as {@link CpuModel#load} does */
  public Loaded model(ModelSource source, Configuration configuration) {
    return model(
        source,
        key -> {
          ModelFiles files = key.files(configuration);
          return new Loaded(CpuModel.load(files, key.weights()), files);
        });
  }

  Loaded model(ModelSource source, Function<ModelSource, Loaded> loader) {
    CompletableFuture<Loaded> mine = new CompletableFuture<>();
    CompletableFuture<Loaded> loaded;
    synchronized (models) {
      loaded = models.computeIfAbsent(source, key -> mine);
    }
    if (loaded == mine) {
      load(source, loader, mine);
    }
    try {
      return loaded.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private void load(
      ModelSource source, Function<ModelSource, Loaded> loader, CompletableFuture<Loaded> future) {
    try {
      future.complete(loader.apply(source));
    } catch (Throwable e) {
      // A later task may try again: what failed may have been the file system.
      synchronized (models) {
        models.remove(source);
      }
      future.completeExceptionally(e);
    }
  }

  /** Releases every model. Tasks that still use one must have ended. */
  @Override
  public void close() {
    synchronized (models) {
      models.values().forEach(loading -> loading.thenAccept(loaded -> loaded.model().close()));
      models.clear();
    }
  }
}
