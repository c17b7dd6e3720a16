#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// Columns of the row before, zeros at the first row of a sequence.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
  uint count, from_first, from_step, to_first, to_step;
} p;
layout(binding = 0) readonly buffer In { uint from_words[]; };
layout(binding = 1) readonly buffer Position { int position[]; };
layout(binding = 2) writeonly buffer Out { uint to_words[]; };

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
  uint value = 0u;
  if (position[row] != 0) value = from_words[(row - 1u) * p.in_stride + p.from_first + k];
  to_words[row * p.out_stride + p.to_first + k] = value;
}
