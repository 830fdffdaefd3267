package io.rollcall.jobs.runtime;

import io.rollcall.engine.Backends;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.kernels.WeightType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.TaskContext;
import org.apache.spark.util.TaskCompletionListener;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The models of this process: each is loaded once for the CPU and once for each device, by the first
 * task that asks for it there, and shared by all. A model stays when its last user goes, except that
 * one whose device faulted is thrown away, and that on a device it makes room for another model.
 * {@link RollcallPlugin} releases all with the executor; without the plugin they live as long as the
 * process.
 */
public final class ModelRegistry implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ModelRegistry.class);
  private static final ModelRegistry PROCESS = new ModelRegistry(new Devices());

  /** Puts a model where it computes. */
  interface Loader {
    LoadedModel load(ModelFiles files, WeightType weights, Place place);
  }

  private record Key(String name, WeightType weights, Place place) {
    @Override
    public String toString() {
      return name + " on " + place;
    }
  }

  /**
   * @param predictorBytes of a layer; 0 without
   * @param correctionRank largest of the corrections; absent without
   */
  private record Measured(
      String method, long predictorBytes, OptionalInt correctionRank, int batchSize, int workers) {

    static Measured of(SparsityProfile profile, int batchSize, int workers) {
      return new Measured(
          profile.method().toString(),
          profile.predictorBytes(),
          profile.corrections() == null
              ? OptionalInt.empty()
              : OptionalInt.of(profile.corrections().rank()),
          batchSize,
          workers);
    }
  }

  private static final class Entry {
    final CompletableFuture<LoadedModel> model = new CompletableFuture<>();
    final Map<Measured, Crossover> crossovers = new ConcurrentHashMap<>();
    int users;

    /** Whether it was loaded and has not faulted since. */
    boolean spent() {
      return model.isDone() && !model.isCompletedExceptionally() && !model.join().usable();
    }
  }

  private final Devices devices;
  private final Map<Key, Entry> models = new HashMap<>();
  private final Map<String, ModelFiles> files = new ConcurrentHashMap<>();

  ModelRegistry(Devices devices) {
    this.devices = devices;
  }

  /** The registry that all tasks of this process share. */
  public static ModelRegistry process() {
    return PROCESS;
  }

  /** A model in use. Its runners must be closed before it. */
  public final class Lease implements AutoCloseable {
    private final Key key;
    private final Entry entry;
    private final ModelFiles files;
    private boolean closed;

    private Lease(Key key, Entry entry, ModelFiles files) {
      this.key = key;
      this.entry = entry;
      this.files = files;
    }

    /** What the model was loaded from; prompt templates are read out of it. */
    public ModelFiles files() {
      return files;
    }

    /** The model, once it is loaded. */
    public LoadedModel model() {
      return entry.model.join();
    }

    /** Where the model computes. */
    public Place place() {
      return key.place();
    }

    /** Where dense is faster than sparse on this device: measured once, by who asks first. */
    public Crossover crossover(SparsityProfile profile, int batchSize, int workers) {
      return entry.crossovers.computeIfAbsent(
          Measured.of(profile, batchSize, workers),
          ignored -> model().crossover(profile, batchSize, workers));
    }

    /** Gives the model back. */
    @Override
    public void close() {
      synchronized (models) {
        if (closed) {
          return;
        }
        closed = true;
      }
      release(key, entry);
    }
  }

  /**
   * The model, loaded where this process computes.
   *
   * @param addresses of GPUs that Spark gave the task; empty to take the devices in turn
   * @throws io.rollcall.engine.UserException when the model cannot be loaded, or there is no device
   *     where one was asked for
   */
  public Lease acquire(ModelSource source, List<String> addresses, Configuration configuration) {
    return acquire(
        source,
        addresses,
        configuration,
        (files, weights, place) -> Backends.load(files, weights, place.backend(), place.ordinal()));
  }

  /** The model for a task, until the task ends. */
  public Lease acquire(ModelSource source, TaskContext task, Configuration configuration) {
    Lease lease = acquire(source, DevicePool.addresses(task), configuration);
    task.addTaskCompletionListener((TaskCompletionListener) ended -> lease.close());
    return lease;
  }

  Lease acquire(
      ModelSource source, List<String> addresses, Configuration configuration, Loader loader) {
    Place place = devices.take(source.backend(), addresses);
    try {
      Key key = new Key(source.name(), source.weights(), place);
      ModelFiles checkpoint = files(source, configuration);
      return new Lease(key, use(key, checkpoint, loader), checkpoint);
    } catch (RuntimeException | Error e) {
      devices.giveBack(place);
      throw e;
    }
  }

  /**
   * Devices that the model's tasks can have in this process; 0 where they compute on the CPU.
   *
   * @throws io.rollcall.engine.UserException when there is no device where one was asked for
   */
  public int devices(ModelSource source) {
    return devices.placement(source.backend()).devices().size();
  }

  private Entry use(Key key, ModelFiles checkpoint, Loader loader) {
    Entry entry;
    boolean first;
    List<Entry> dropped = new ArrayList<>();
    synchronized (models) {
      entry = models.get(key);
      if (entry != null && entry.spent()) {
        LOG.warn("{} is loaded anew: its device faulted", key);
        drop(key, entry, dropped);
        entry = null;
      }
      first = entry == null;
      if (first) {
        makeRoom(key, dropped);
        entry = new Entry();
        models.put(key, entry);
      }
      entry.users++;
    }
    closeAll(dropped);
    if (first) {
      load(key, entry, () -> loader.load(checkpoint, key.weights(), key.place()));
    }
    try {
      entry.model.join();
      return entry;
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private void load(Key key, Entry entry, Supplier<LoadedModel> loading) {
    try {
      entry.model.complete(loading.get());
    } catch (Throwable e) {
      // A later task may try again: what failed may have been the file system.
      synchronized (models) {
        models.remove(key, entry);
      }
      entry.model.completeExceptionally(e);
    }
  }

  /** The checkpoint's files, fetched once a process. */
  public ModelFiles files(ModelSource source, Configuration configuration) {
    return files.computeIfAbsent(source.name(), ignored -> source.files(configuration));
  }

  private void release(Key key, Entry entry) {
    List<Entry> dropped = new ArrayList<>();
    synchronized (models) {
      entry.users--;
      if (models.get(key) != entry || entry.spent()) {
        drop(key, entry, dropped);
      }
    }
    try {
      closeAll(dropped);
    } finally {
      // last: who waits for the device finds its memory free
      devices.giveBack(key.place());
    }
  }

  /** Takes a model out; whoever uses it last closes it. */
  private void drop(Key key, Entry entry, List<Entry> dropped) {
    models.remove(key, entry);
    if (entry.users == 0) {
      dropped.add(entry);
    }
  }

  private void makeRoom(Key wanted, List<Entry> dropped) {
    if (!wanted.place().onDevice()) {
      return;
    }
    for (Map.Entry<Key, Entry> other : List.copyOf(models.entrySet())) {
      if (other.getKey().place().equals(wanted.place()) && other.getValue().users == 0) {
        LOG.info("{} makes room for {}", other.getKey(), wanted);
        drop(other.getKey(), other.getValue(), dropped);
      }
    }
  }

  private static void closeAll(List<Entry> entries) {
    for (Entry entry : entries) {
      try {
        entry.model.thenAccept(LoadedModel::close).join();
      } catch (CompletionException e) {
        // nothing that a device does not survive can be freed on it
        LOG.warn("a model was not closed cleanly", e.getCause());
      }
    }
  }

  /** Releases every model. Tasks that still use one must have ended. */
  @Override
  public void close() {
    List<Entry> all;
    synchronized (models) {
      all = List.copyOf(models.values());
      models.clear();
    }
    closeAll(all);
    files.clear();
  }
}
