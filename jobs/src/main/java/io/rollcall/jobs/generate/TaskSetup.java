package io.rollcall.jobs.generate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.model.Model;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.TaskContext;
import org.apache.spark.util.SerializableConfiguration;

/**
 * What tasks need to decode.
 *
 * @param configuration Hadoop's, for a model on a remote file system
 */
@DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
public record TaskSetup(
    ModelSource model,
    Decoding decoding,
    TemplateSource template,
    SerializableConfiguration configuration)
    implements Serializable {

  /**
   * With the template as its file has it, where {@code decoding} names one.
   *
   * @throws io.rollcall.engine.UserException when the file cannot be read
   */
  public static TaskSetup of(ModelSource model, Decoding decoding, Configuration configuration) {
    return new TaskSetup(
        model,
        decoding,
        TemplateSource.read(decoding.template(), configuration),
        new SerializableConfiguration(configuration));
  }

  /** The same model and template, decoded another way. */
  public TaskSetup with(Decoding other) {
    return new TaskSetup(model, other, template, configuration);
  }

  /** The same on the CPU. */
  TaskSetup onCpu() {
    return new TaskSetup(model.onCpu(), decoding, template, configuration);
  }

  /** The model for a task, until the task ends. */
  public TaskModel lease(TaskContext task) {
    ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(model, task, configuration.value());
    Model head = lease.model().model();
    return new TaskModel(
        lease,
        template.of(head, lease.files()),
        decoding.options(head.config()),
        task.cpus());
  }
}
