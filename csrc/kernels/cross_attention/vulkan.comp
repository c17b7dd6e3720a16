#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// As kernels/cross_attention/cross_attention.h: a group for each row and head. It goes through the keys THREADS at a time with the
// largest score so far; heads wider than CHUNK are made in several passes.
#define CHUNK 256

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, head_dim;
  uint q_stride, out_stride, looked_stride;
  uint keys, values;
  float scale;
} p;
layout(binding = 0) readonly buffer Queries { float q[]; };
layout(binding = 1) readonly buffer Looked { float looked[]; };
layout(binding = 2) readonly buffer LookedOffsets { int looked_offsets[]; };
layout(binding = 3) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 4) writeonly buffer Out { float result[]; };

shared float weights[THREADS];
shared float mixed[CHUNK];

const float kLeast = -3.0e38;

float score_of(uint query_at, uint at) {
  float total = 0.0;
  for (uint d = 0u; d < p.head_dim; ++d) total = fma(q[query_at + d], looked[at + d], total);
  total *= p.scale;
  // Whatever is not a number makes NaN of the row.
  return is_finite(total) ? total : kNan;
}

void main() {
  const uint row = gl_WorkGroupID.y, column = gl_WorkGroupID.z * p.head_dim, lane = gl_LocalInvocationIndex;
  const uint sequence = uint(sequence_of[row]);
  const uint begin = uint(looked_offsets[sequence]), end = uint(looked_offsets[sequence + 1u]);
  const uint query_at = row * p.q_stride + column;

  for (uint first = 0u; first < p.head_dim; first += CHUNK) {
    const uint count = min(p.head_dim - first, CHUNK);
    for (uint d = lane; d < count; d += THREADS) mixed[d] = 0.0;
    float largest = kLeast, total = 0.0;
    for (uint block = begin; block < end; block += THREADS) {
      const uint key = block + lane;
      const float score = score_of(query_at, min(key, end - 1u) * p.looked_stride + p.keys + column);
      const float known = group_max(key < end && !is_nan(score) ? score : kLeast);
      const float before = largest;
      largest = max(largest, known);
      const float weight = key < end ? exp_of(score - largest) : 0.0;
      weights[lane] = weight;
      const float shrink = before == kLeast ? 0.0 : exp_of(before - largest);
      total = total * shrink + group_sum(weight);
      const uint seen = min(end - block, THREADS);
      for (uint d = lane; d < count; d += THREADS) {
        float mix = mixed[d] * shrink;
        const uint at = block * p.looked_stride + p.values + column + first + d;
        for (uint i = 0u; i < seen; ++i) mix = fma(weights[i], looked[at + i * p.looked_stride], mix);
        mixed[d] = mix;
      }
      barrier();
    }
    for (uint d = lane; d < count; d += THREADS) {
      const float value = mixed[d] / total;
      result[row * p.out_stride + column + first + d] = is_finite(value) ? value : kNan;
    }
    barrier();
  }
}
