#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// A group for each piece of a row, as kernels/norm/norm.h.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint x_stride, y_stride, first, width, pieces;
  float epsilon;
  uint flags;
} p;
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) readonly buffer Gamma { float gamma[]; };
layout(binding = 2) readonly buffer Beta { float beta[]; };
layout(binding = 3) buffer Y { float y[]; };

void main() {
  const uint row = gl_WorkGroupID.y, piece = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint from = row * p.x_stride + p.first + piece * p.width;
  const uint to = row * p.y_stride + p.first + piece * p.width;
  const bool centred = (p.flags & kHasBeta) != 0u;
  float mean = 0.0;
  if (centred) {
    float total = 0.0;
    for (uint k = lane; k < p.width; k += THREADS) total += x[from + k];
    mean = group_sum(total) / float(p.width);
  }
  float squares = 0.0;
  for (uint k = lane; k < p.width; k += THREADS) {
    const float d = x[from + k] - mean;
    squares += d * d;
  }
  const float inverse = 1.0 / sqrt(group_sum(squares) / float(p.width) + p.epsilon);
  for (uint k = lane; k < p.width; k += THREADS) {
    const float unit = (x[from + k] - mean) * inverse * gamma[k];
    y[to + k] = centred ? unit + beta[k] : unit;
  }
}
