#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// A group for each sequence, as kernels/pool/pool.h.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, x_stride;
  uint mode;
  uint flags;
} p;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Offsets { int offsets[]; };
layout(binding = 2) buffer Out { float result[]; };

const uint kPoolMean = 0, kPoolFirst = 1, kPoolLast = 2;

float pooled(uint k, uint first, uint count) {
  if (count == 0u) return 0.0;
  if (p.mode == kPoolFirst) return x[first * p.x_stride + k];
  if (p.mode == kPoolLast) return x[(first + count - 1u) * p.x_stride + k];
  float total = 0.0;
  for (uint i = 0u; i < count; ++i) total += x[(first + i) * p.x_stride + k];
  return total / float(count);
}

void main() {
  const uint sequence = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
  const uint first = uint(offsets[sequence]), count = uint(offsets[sequence + 1u]) - first;
  float squares = 0.0;
  for (uint k = lane; k < p.width; k += THREADS) {
    const float value = pooled(k, first, count);
    result[sequence * p.width + k] = value;
    squares += value * value;
  }
  if ((p.flags & kNormalise) == 0u) return;
  const float length_of = sqrt(group_sum(squares));
  const float divisor = length_of < 1e-12 ? 1e-12 : length_of;
  for (uint k = lane; k < p.width; k += THREADS) result[sequence * p.width + k] /= divisor;
}
