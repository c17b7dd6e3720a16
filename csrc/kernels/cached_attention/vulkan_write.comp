#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"
#include "kernels/cached_attention/vulkan_formats.glsl"

// cache_write: a group for each row and head of keys.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, key_heads, head_dim, in_stride;
  uint page_tokens, table_stride;
  uint turned;
  PagePart full;
} p;
layout(binding = 0) readonly buffer Qkv { float qkv[]; };
layout(binding = 1) readonly buffer Table { uint table[]; };
layout(binding = 2) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 3) readonly buffer PlaceOf { int place_of[]; };
layout(binding = 4) readonly buffer Signs { float signs[]; };
layout(binding = 5) buffer Pages { uint pages[]; };

#include "kernels/cached_attention/vulkan_turning.glsl"

// A part of a word whose others belong to other tokens.
void put(uint word, uint shift, uint mask, uint bits) {
  atomicAnd(pages[word], ~(mask << shift));
  atomicOr(pages[word], bits << shift);
}
void put_half(uint part, uint byte, uint bits) {
  put(part + byte / 4u, 8u * (byte & 2u), 0xffffu, bits);
}

// The inverse of the step between the codes of what was read, as binary16 holds it; the step is stored.
float store_step(uint part, uint byte) {
  float largest = 0.0;
  uint damaged = 0u;
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    if (is_nan(turned[d])) damaged = 1u;
    else largest = max(largest, abs(turned[d]));
  }
  largest = group_max(largest);
  damaged = group_max(damaged);
  const uint bits = damaged != 0u ? 0x7e00u : half_bits(largest / 127.0);
  if (gl_LocalInvocationIndex == 0u) put_half(part, byte, bits);
  const float step_size = damaged != 0u ? 0.0 : unpackHalf2x16(bits).x;
  return step_size > 0.0 ? 1.0 / step_size : 0.0;
}

uint code_of(uint d, float inverse) {
  if (d >= p.head_dim || is_nan(turned[d])) return 0u;
  return uint(int(roundEven(clamp(turned[d] * inverse, -127.0, 127.0)))) & 255u;
}

uint bits_of(uint d, float inverse) {
  if (p.full.format == kPageI8) return code_of(d, inverse);
  if (d >= p.head_dim) return 0u;
  return p.full.format == kPageF16 ? half_bits(turned[d]) : floatBitsToUint(turned[d]);
}

void main() {
  const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint place = uint(place_of[row]), slot = place % p.page_tokens;
  const uint page = table[uint(sequence_of[row]) * p.table_stride + place / p.page_tokens];
  const uint part = part_of(page, p.full, head);
  const uint size = element_bytes(p.full.format), each = 4u / size, bits = 8u * size;
  const uint key = row * p.in_stride + (p.heads + head) * p.head_dim, width = padded_width(p.head_dim);

  read_row(key);
  float inverse = 1.0;
  if (is_scaled(p.full.format)) inverse = store_step(part, p.full.key_scales + 2u * slot);
  for (uint d = lane; d < p.head_dim; d += THREADS) {
    const uint at = (slot / 16u * width + d) * 16u + slot % 16u;
    if (size == 4u) pages[part + at] = bits_of(d, inverse);
    else put(part + at / each, at % each * bits, (1u << bits) - 1u, bits_of(d, inverse));
  }

  read_row(key + p.key_heads * p.head_dim);
  if (is_scaled(p.full.format)) inverse = store_step(part, p.full.value_scales + 2u * slot);
  // Words of values belong to one token.
  for (uint d = lane * each; d < width; d += THREADS * each) {
    uint word = 0u;
    for (uint i = 0u; i < each; ++i) word |= bits_of(d + i, inverse) << (i * bits);
    const uint at = (d / 16u * p.page_tokens + slot) * 16u + d % 16u;
    pages[part + p.full.values / 4u + at / each] = word;
  }
}
