// bf16, as checkpoints have it: what brings weights to the device reads it, nothing computes with it.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>

typedef __nv_bfloat16 bf16;

__device__ __forceinline__ float to_float(bf16 value) { return __bfloat162float(value); }

// The two halves of a word that holds two bf16 (low half first): a shift and a mask, no conversion.
__device__ __forceinline__ float low_bf16(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_bf16(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
