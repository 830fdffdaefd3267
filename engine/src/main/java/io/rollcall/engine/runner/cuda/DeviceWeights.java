package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import java.util.List;

/**
 * All weights of a model on one device.
 *
 * @param embedding f16 [vocabulary x d]
 * @param norm f32 [d], before the head
 * @param head [vocabulary x d]
 * @param bytes they take together
 */
record DeviceWeights(
    DeviceBuffer embedding,
    List<DeviceLayer> layers,
    DeviceBuffer norm,
    DeviceMatrix head,
    long bytes) {}
