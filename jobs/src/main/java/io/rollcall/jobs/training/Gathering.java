package io.rollcall.jobs.training;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.jobs.generate.TaskSetup;
import java.io.Serializable;

/**
 * What is gathered, and how.
 *
 * @param setup its decoding's seed is that of all that is random
 * @param oracle whose scores are looked at
 * @param thresholds the oracle's, [layer]
 * @param share most positions of a partition
 * @param references whether the documents have some
 * @param continuations sampled ones of each document besides; held-out ones get none
 */
@DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
record Gathering(
    String runId,
    TaskSetup setup,
    Method oracle,
    float[] thresholds,
    HeldOutPartitions holdOut,
    int share,
    boolean references,
    int continuations)
    implements Serializable {}
