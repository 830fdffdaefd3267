package io.rollcall.jobs.recovery;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.evaluation.ReferenceReader;
import io.rollcall.engine.evaluation.ReferencedDocument;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.io.Serializable;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.util.SerializableConfiguration;

/**
 * What tasks need to decode documents.
 *
 * @param runId that progress is reported for
 * @param references whether the documents have some
 * @param configuration Hadoop's, for a model on a remote file system
 */
@DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
record RecoveryWork(
    String runId,
    ModelSource model,
    boolean references,
    Decoding decoding,
    TemplateSource template,
    SerializableConfiguration configuration)
    implements Serializable {

  /** A task's model. */
  record Leased(
      LoadedModel model, ModelFiles files, PromptTemplate template, GenerationOptions options) {

    /** Documents that cannot be read or do not fit the context are passed over. */
    List<ReferencedDocument> read(List<Document> documents) {
      ReferenceReader reader = new ReferenceReader(model.model(), files, template);
      return IntStream.range(0, documents.size())
          .mapToObj(
              i -> {
                Document d = documents.get(i);
                return reader.fitting(i, d.id(), d.prompt(), d.reference(), options.context());
              })
          .flatMap(Optional::stream)
          .toList();
    }
  }

  Leased lease(TaskContext task) {
    ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(model, task, configuration.value());
    LoadedModel loaded = lease.model();
    return new Leased(
        loaded,
        lease.files(),
        template.of(loaded.model(), lease.files()),
        decoding.options(loaded.config()));
  }
}
