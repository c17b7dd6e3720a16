#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// As kernels/attention/attention.h: a group for each row and head. It goes through the keys THREADS at a time with the largest
// score so far; heads wider than CHUNK are made in several passes.
#define CHUNK 256

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, key_heads, head_dim;
  uint in_stride, out_stride;
  uint flags;
  uint window;
  float scale, cap;
} p;
layout(binding = 0) readonly buffer Qkv { float qkv[]; };
layout(binding = 1) readonly buffer Offsets { int offsets[]; };
layout(binding = 2) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 3) writeonly buffer Out { float result[]; };

shared float query[CHUNK];
shared float weights[THREADS];
shared float mixed[CHUNK];

const float kLeast = -3.0e38;

void read_query(uint at, uint first, uint count) {
  barrier();
  for (uint d = gl_LocalInvocationIndex; d < count; d += THREADS) query[d] = qkv[at + first + d] * p.scale;
  barrier();
}

// Of key `at`. Called by all threads: the query is read in pieces.
float score_of(uint query_at, uint at) {
  float total = 0.0;
  for (uint first = 0u; first < p.head_dim; first += CHUNK) {
    const uint count = min(p.head_dim - first, CHUNK);
    if (p.head_dim > CHUNK) read_query(query_at, first, count);
    for (uint d = 0u; d < count; ++d) total = fma(query[d], qkv[at + first + d], total);
  }
  // Whatever is not a number makes NaN of the row.
  if (!is_finite(total)) return kNan;
  return p.cap > 0.0 ? soft_cap(total, p.cap) : total;
}

void main() {
  const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint sequence = uint(sequence_of[row]);
  const uint first = uint(offsets[sequence]), last = uint(offsets[sequence + 1u]);
  const bool causal = (p.flags & kCausal) != 0u;
  const uint end = causal ? row + 1u : last;
  const uint begin = causal && p.window > 0u && end - first > p.window ? end - p.window : first;
  const uint key_head = head / (p.heads / p.key_heads);
  const uint query_at = row * p.in_stride + head * p.head_dim;
  const uint key_column = (p.heads + key_head) * p.head_dim;
  const uint value_column = (p.heads + p.key_heads + key_head) * p.head_dim;
  if (p.head_dim <= CHUNK) read_query(query_at, 0u, p.head_dim);

  for (uint column = 0u; column < p.head_dim; column += CHUNK) {
    const uint count = min(p.head_dim - column, CHUNK);
    for (uint d = lane; d < count; d += THREADS) mixed[d] = 0.0;
    float largest = kLeast, total = 0.0;
    for (uint block = begin; block < end; block += THREADS) {
      const uint key = block + lane;
      const float score = score_of(query_at, min(key, end - 1u) * p.in_stride + key_column);
      const float known = group_max(key < end && !is_nan(score) ? score : kLeast);
      const float before = largest;
      largest = max(largest, known);
      const float weight = key < end ? exp_of(score - largest) : 0.0;
      weights[lane] = weight;
      const float shrink = before == kLeast ? 0.0 : exp_of(before - largest);
      total = total * shrink + group_sum(weight);
      const uint keys = min(end - block, THREADS);
      for (uint d = lane; d < count; d += THREADS) {
        float mix = mixed[d] * shrink;
        const uint at = block * p.in_stride + value_column + column + d;
        for (uint i = 0u; i < keys; ++i) mix = fma(weights[i], qkv[at + i * p.in_stride], mix);
        mixed[d] = mix;
      }
      barrier();
    }
    for (uint d = lane; d < count; d += THREADS) {
      const float value = mixed[d] / total;
      result[row * p.out_stride + head * p.head_dim + column + d] = is_finite(value) ? value : kNan;
    }
    barrier();
  }
}
