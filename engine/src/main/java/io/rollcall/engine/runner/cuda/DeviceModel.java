package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.runner.Backend;
import io.rollcall.engine.runner.CacheRoom;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaDevice;
import io.rollcall.kernels.cuda.CudaException;
import io.rollcall.kernels.cuda.DeviceFaultException;
import io.rollcall.kernels.cuda.DeviceMemoryException;
import java.util.List;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model on one CUDA device: the device's context and the weights in its memory, shared by the runners
 * of all tasks. A fault of the device takes the context with it: then {@link #usable} is false, and
 * whoever needs the model closes this one and loads it anew.
 */
public final class DeviceModel implements LoadedModel {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceModel.class);

  private final Model model;
  private final CudaContext context;
  private final DeviceLayout layout;
  private final DeviceWeights weights;
  private final DownNorms downNorms;

  DeviceModel(
      Model model, CudaContext context, DeviceLayout layout, DeviceWeights weights) {
    this.model = model;
    this.context = context;
    this.layout = layout;
    this.weights = weights;
    downNorms = new DownNorms(context, weights);
  }

  /**
   * Loads a checkpoint.
   *
   * @param weights of the feed-forward: BF16 or F16 (both are computed with as f16), INT8 or INT4
   * @throws UserException for a missing, truncated or unsupported part, or when it does not fit
   */
  public static DeviceModel load(ModelFiles files, WeightType weights, CudaDevice device) {
    try (ModelReader reader = ModelReader.open(files)) {
      var layout = DeviceLayout.of(files.name(), reader.tensors().config(), weights);
      CudaContext context = open(device);
      try {
        requireRoom(layout, context.freeBytes(), device.memoryBytes());
        DeviceWeights loaded;
        try (var loader = new DeviceLoader(context, files.name(), reader.tensors(), layout)) {
          long start = System.nanoTime();
          loaded = loader.load();
          LOG.info(
              "Loaded {} MiB of model {} to {} in {} s",
              loaded.bytes() >> 20,
              files.name(),
              device.name(),
              Math.round((System.nanoTime() - start) / 1e8) / 10.0);
        }
        return new DeviceModel(reader.finish(), context, layout, loaded);
      } catch (DeviceMemoryException e) {
        context.close();
        throw new UserException(
            "model '" + files.name() + "' does not fit on " + device.name() + ": "
                + e.getMessage() + "; use --weights int8 or int4, or a device with more memory",
            e);
      } catch (RuntimeException | Error e) {
        context.close();
        throw e;
      }
    }
  }

  private static CudaContext open(CudaDevice device) {
    try {
      return CudaContext.open(device);
    } catch (DeviceFaultException e) {
      throw e;
    } catch (CudaException e) {
      throw new UserException(e.getMessage() + "; or use --backend cpu", e);
    }
  }

  /** @throws DeviceMemoryException when the weights, and what loading them takes, are more than is free */
  static void requireRoom(DeviceLayout layout, long free, long total) {
    long needed = layout.bytes() + DeviceLoader.scratchBytes(layout);
    if (needed > free) {
      throw new DeviceMemoryException(
          "its weights in " + layout.feedForward().toString().toLowerCase(Locale.ROOT),
          needed,
          free,
          total);
    }
  }

  @Override
  public Model model() {
    return model;
  }

  @Override
  public Backend backend() {
    return Backend.CUDA;
  }

  @Override
  public WeightType weightType() {
    return layout.feedForward();
  }

  @Override
  public FeedForwardCost cost() {
    return new FeedForwardCost(
        config().hiddenSize(), config().intermediateSize(), layout.feedForward());
  }

  /** Where it is. */
  public CudaDevice device() {
    return context.device();
  }

  /** The pool takes what the device has left when the runner is made; nothing is held before. */
  @Override
  public CacheRoom cacheRoom(int slots, int context) {
    CudaModelRunner.requireSlots(slots);
    return CacheRoom.none();
  }

  @Override
  public ModelRunner runner(SparsityPlan plan, RunnerOptions options) {
    return CudaModelRunner.create(this, plan, options, null);
  }

  @Override
  public ModelRunner observed(Method method, ScoreObserver observer, RunnerOptions options) {
    return CudaModelRunner.create(
        this, SparsityPlan.dense(digest()), options, new Observation(method, observer));
  }

  @Override
  public Crossover crossover(SparsityProfile profile, int batchSize, int workers) {
    return profile.method().sparse()
        ? DeviceCrossover.measure(this, profile, batchSize)
        : Crossover.never();
  }

  @Override
  public boolean usable() {
    return !context.faulted();
  }

  CudaContext context() {
    return context;
  }

  DeviceLayout layout() {
    return layout;
  }

  DeviceWeights weights() {
    return weights;
  }

  @Override
  public List<float[]> downNorms() {
    return downNorms.get();
  }

  /** Frees the weights and everything else in the context. */
  @Override
  public void close() {
    context.close();
    model.close();
  }
}
