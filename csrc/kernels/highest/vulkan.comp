#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// highest of device/kernels.h, a group for each row.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
} p;
layout(binding = 0) readonly buffer In { float x[]; };
layout(binding = 1) buffer Out { uint result[]; };

shared float values[THREADS];
shared uint columns[THREADS];
shared uint damaged[THREADS];

void main() {
  const uint lane = gl_LocalInvocationIndex, first = gl_WorkGroupID.y * p.in_stride;
  float best = uintBitsToFloat(0xff800000u);
  uint place = 0xffffffffu, nan = 0u;
  for (uint column = lane; column < p.width; column += THREADS) {
    const float value = x[first + column];
    if (is_nan(value)) {
      nan = 1u;
    } else if (value > best || (value == best && column < place)) {
      best = value;
      place = column;
    }
  }
  values[lane] = best;
  columns[lane] = place;
  damaged[lane] = nan;
  barrier();
  if (lane != 0u) return;
  for (uint i = 1u; i < THREADS; ++i) {
    if (values[i] > best || (values[i] == best && columns[i] < place)) {
      best = values[i];
      place = columns[i];
    }
    nan |= damaged[i];
  }
  const uint to = gl_WorkGroupID.y * p.out_stride;
  result[to] = place;
  result[to + 1u] = nan != 0u ? 0x7fc00000u : floatBitsToUint(best);
}
