package io.rollcall.jobs.training;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.DecodePositions;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.io.Serializable;
import org.apache.spark.TaskContext;
import org.apache.spark.util.SerializableConfiguration;

/**
 * What tasks need to decode documents.
 *
 * @param oracle whose scores are looked at
 * @param references whether the documents have some
 * @param configuration Hadoop's, for a model on a remote file system
 */
@DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
record Gathering(
    String runId,
    ModelSource model,
    Method oracle,
    boolean references,
    Decoding decoding,
    TemplateSource template,
    SerializableConfiguration configuration)
    implements Serializable {

  /** A task's model, and the documents' decode positions. */
  record Decoder(LoadedModel model, DecodePositions positions, GenerationOptions options) {}

  Decoder decoder(TaskContext task) {
    ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(model, task, configuration.value());
    LoadedModel loaded = lease.model();
    GenerationOptions options = decoding.options(loaded.config());
    return new Decoder(
        loaded,
        new DecodePositions(
            loaded,
            lease.files(),
            template.of(loaded.model(), lease.files()),
            options,
            task.cpus()),
        options);
  }
}
