#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// Rows of a table, as kernels/embed/embed.h.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, out_stride, row_bytes;
  uint element, index;
  uint flags;
  uint group, groups, scale_type;
} p;
layout(binding = 0) readonly buffer Index { int indices[]; };
layout(binding = 1) readonly buffer Data { uint data[]; };
layout(binding = 2) readonly buffer Scales { uint scales[]; };
layout(binding = 3) readonly buffer Zeros { uint zeros[]; };
layout(binding = 4) readonly buffer Outer { float outer[]; };
layout(binding = 5) buffer Out { float result[]; };

const uint kEmbedF32 = 0, kEmbedF16 = 1, kEmbedBf16 = 2, kEmbedI8 = 3;
const uint kEmbedI8Grid = 4, kEmbedI4Grid = 5, kEmbedI2Grid = 6, kEmbedFp4Grid = 7;
const uint kIndexFirst = 1;
const float kFp4[8] = {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0};

// A table may have more bytes than 32 bits count: words of rows and bytes in them apart.
uint table_byte(uint row, uint at) {
  const uint words = p.row_bytes / 4u, rest = (p.row_bytes & 3u) * row + at;
  return byte_of(data[row * words + rest / 4u], rest);
}
uint table_half(uint row, uint k) {
  return table_byte(row, 2u * k) | table_byte(row, 2u * k + 1u) << 8;
}

float group_scale(uint index) {
  if (p.scale_type == kScaleF32) return uintBitsToFloat(scales[index]);
  if (p.scale_type == kScaleF16) return half_of(scales[index / 2u], index);
  return byte_scale(byte_of(scales[index / 4u], index), p.scale_type);
}

float grid_value(uint row, uint k) {
  const uint index = row * p.groups + (p.group == 0u ? 0u : k / p.group);
  const bool has_zeros = (p.flags & kHasZeros) != 0u;
  const float zero = has_zeros ? float(byte_of(zeros[index / 4u], index)) : 0.0;
  float level;
  if (p.element == kEmbedI8Grid) {
    level = float(int(table_byte(row, k) << 24) >> 24);
  } else if (p.element == kEmbedI2Grid) {
    level = float((table_byte(row, k / 4u) >> (2u * (k & 3u))) & 3u);
    level -= has_zeros ? zero / 64.0 : 1.5;
  } else {
    const uint code = (table_byte(row, k / 2u) >> (4u * (k & 1u))) & 15u;
    if (p.element == kEmbedI4Grid) {
      level = float(code) - (has_zeros ? zero / 16.0 : 8.0);
    } else {
      level = code < 8u ? kFp4[code] : -kFp4[code & 7u];
    }
  }
  float scale = group_scale(index);
  if ((p.flags & kHasOuter) != 0u) scale *= outer[row];
  return level * scale;
}

float table_value(uint row, uint k) {
  if (p.element == kEmbedF32) return uintBitsToFloat(data[row * p.width + k]);
  if (p.element == kEmbedF16) return unpackHalf2x16(table_half(row, k)).x;
  if (p.element == kEmbedBf16) return uintBitsToFloat(table_half(row, k) << 16);
  if (p.element != kEmbedI8) return grid_value(row, k);
  const float zero = (p.flags & kHasZeros) != 0u ? uintBitsToFloat(zeros[row]) : 0.0;
  return (float(int(table_byte(row, k) << 24) >> 24) - zero) * uintBitsToFloat(scales[row]);
}

void main() {
  const uint k = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;
  if (k >= p.width) return;
  const uint from = p.index == kIndexFirst ? 0u : uint(indices[row]);
  const uint to = row * p.out_stride + k;
  precise float value = table_value(from, k);
  if ((p.flags & kAccumulate) != 0u) value = result[to] + value;
  result[to] = value;
}
