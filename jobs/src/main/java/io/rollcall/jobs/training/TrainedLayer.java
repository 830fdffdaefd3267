package io.rollcall.jobs.training;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.training.TrainedPredictor;
import java.io.Serializable;

/** A layer's predictor on its way to the driver. */
@DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
public record TrainedLayer(int layer, TrainedPredictor trained) implements Serializable {}
