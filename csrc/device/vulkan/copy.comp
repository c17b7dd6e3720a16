#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// Pieces of rows from one buffer to another; CLEAR: zeros there.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
  uint count, from_first, from_step, to_first, to_step;
} p;
layout(binding = 0) readonly buffer In { uint from_words[]; };
layout(binding = 1) writeonly buffer Out { uint to_words[]; };

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y, piece = gl_WorkGroupID.z;
  if (k >= p.width) return;
#ifdef CLEAR
  const uint value = 0u;
#else
  const uint value = from_words[row * p.in_stride + p.from_first + piece * p.from_step + k];
#endif
  to_words[row * p.out_stride + p.to_first + piece * p.to_step + k] = value;
}
