#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// sum: out += in. MULTIPLY: out = in * multiplier[column]. SCALE: out *= in[1] of the row.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
} p;
layout(binding = 0) buffer In { float x[]; };
#ifdef MULTIPLY
layout(binding = 1) readonly buffer Multiplier { float multiplier[]; };
layout(binding = 2) buffer Out { float result[]; };
#else
layout(binding = 1) buffer Out { float result[]; };
#endif

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
#ifdef MULTIPLY
  result[row * p.out_stride + k] = x[row * p.in_stride + k] * multiplier[k];
#elif defined(SCALE)
  result[row * p.out_stride + k] *= x[row * p.in_stride + 1u];
#else
  result[row * p.out_stride + k] += x[row * p.in_stride + k];
#endif
}
