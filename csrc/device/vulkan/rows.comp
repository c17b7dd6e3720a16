#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// move_rows.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
  uint flags;
} p;
layout(binding = 0) readonly buffer In { uint x[]; };
layout(binding = 1) readonly buffer From { int from[]; };
layout(binding = 2) readonly buffer To { int to[]; };
layout(binding = 3) writeonly buffer Out { uint result[]; };

const uint kHasFrom = 1u << 13;
const uint kHasTo = 1u << 14;

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
  const uint source = (p.flags & kHasFrom) != 0u ? uint(from[row]) : row;
  const uint target = (p.flags & kHasTo) != 0u ? uint(to[row]) : row;
  result[target * p.out_stride + k] = x[source * p.in_stride + k];
}
