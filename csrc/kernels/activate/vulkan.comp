#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// As kernels/activate/activate.h.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, x_stride, out_stride;
  uint kind;
  float cap;
  uint flags;
} p;
layout(binding = 0) buffer X { float x[]; };
layout(binding = 1) buffer Out { float result[]; };

const uint kSilu = 0, kGelu = 1, kGeluTanh = 2, kCap = 3;

float activated(float value) {
  if (p.kind == kSilu) return value / (1.0 + exp_of(-value));
  if (p.kind == kGelu) return gelu_of(value);
  if (p.kind == kGeluTanh) {
    const float cubic = fma(value * value, 0.044715, 1.0);
    return value / (1.0 + exp_of(value * cubic * -1.5957691216057308));
  }
  if (p.kind == kCap) return soft_cap(value, p.cap);
  return value / (1.0 + exp_of(value * -1.702));
}

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
  const uint from = row * p.x_stride + k;
  float value = activated(x[from]);
  if ((p.flags & kGated) != 0u) value *= x[from + p.width];
  result[row * p.out_stride + k] = value;
}
