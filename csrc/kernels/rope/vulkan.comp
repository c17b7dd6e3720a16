#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// As kernels/rope/rope.h: a thread for each pair that turns together.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint x_stride, first, heads, head_dim, rotated, turns_stride;
  uint flags;
} p;
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) readonly buffer Turns { float turns[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, head = gl_WorkGroupID.z;
  const uint pairs = p.rotated / 2u;
  if (i >= pairs) return;
  const uint start = row * p.x_stride + p.first + head * p.head_dim;
  const bool neighbours = (p.flags & kInterleaved) != 0u;
  const uint low = start + (neighbours ? 2u * i : i), high = neighbours ? low + 1u : low + pairs;
  const float cosine = turns[row * p.turns_stride + i], sine = turns[row * p.turns_stride + pairs + i];
  precise float a = x[low], b = x[high];
  precise float turned = a * cosine - b * sine;
  precise float other = b * cosine + a * sine;
  x[low] = turned;
  x[high] = other;
}
