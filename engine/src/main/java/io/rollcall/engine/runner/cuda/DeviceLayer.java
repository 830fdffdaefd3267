package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;

/**
 * One transformer layer's weights on the device.
 *
 * @param attentionNorm f32 [d]
 * @param queryKeyValue [(heads + 2 kvHeads) headSize x d]: queries, then keys, then values
 * @param output [d x heads headSize]
 * @param feedForwardNorm f32 [d]
 * @param gateUp [2f x d]: gate's rows, then up's
 * @param down [f x d], the transposed down projection
 */
record DeviceLayer(
    DeviceBuffer attentionNorm,
    DeviceMatrix queryKeyValue,
    DeviceMatrix output,
    DeviceBuffer feedForwardNorm,
    DeviceMatrix gateUp,
    DeviceMatrix down) {}
