#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, top;
  uint in_stride, weights_stride, residual_stride, out_stride;
  uint flags;
} p;
layout(binding = 0) readonly buffer In { float x[]; };
layout(binding = 1) readonly buffer Weights { float weights[]; };
layout(binding = 2) buffer Residual { float residual[]; };
layout(binding = 3) buffer Out { float result[]; };
layout(binding = 4) readonly buffer From { uint from[]; };

const uint kHasFrom = 1u << 13;

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
  float total = 0.0;
  for (uint rank = 0u; rank < p.top; ++rank) {
    const uint pair = row * p.top + rank, place = (p.flags & kHasFrom) != 0u ? from[pair] : pair;
    precise float product = weights[row * p.weights_stride + p.top + rank] * x[place * p.in_stride + k];
    total += product;
  }
  if ((p.flags & kHasResidual) != 0u) total += residual[row * p.residual_stride + k];
  result[row * p.out_stride + k] = total;
}
