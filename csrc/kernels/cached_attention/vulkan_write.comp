#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// cache_write: a group for each row and head of keys.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, key_heads, head_dim, in_stride;
  uint page_tokens, table_stride, format;
  uint first_byte, head_bytes, values, key_scales, value_scales;
} p;
layout(binding = 0) readonly buffer Qkv { float qkv[]; };
layout(binding = 1) readonly buffer Table { uint table[]; };
layout(binding = 2) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 3) readonly buffer PlaceOf { int place_of[]; };
layout(binding = 4) readonly buffer Signs { float signs[]; };
layout(binding = 5) buffer Pages { uint pages[]; };

#include "kernels/cached_attention/vulkan_pages.glsl"

// Binary16, to nearest even; what is beyond becomes the largest.
uint half_bits(float value) {
  if (is_nan(value)) return 0x7e00u;
  const float x = clamp(value, -65504.0, 65504.0);
  const uint sign_bit = (floatBitsToUint(x) >> 16) & 0x8000u;
  const uint bits = floatBitsToUint(x) & 0x7fffffffu;
  if (bits < 0x38800000u) {
    precise float shifted = uintBitsToFloat(bits) + 0.5;
    return sign_bit | (floatBitsToUint(shifted) - 0x3f000000u);
  }
  return sign_bit | ((bits + 0xfffu + ((bits >> 13) & 1u) - 0x38000000u) >> 13);
}

// A part of a word whose others belong to other tokens.
void put(uint word, uint shift, uint mask, uint bits) {
  atomicAnd(pages[word], ~(mask << shift));
  atomicOr(pages[word], bits << shift);
}
void put_half(uint part, uint byte, uint bits) {
  put(part + byte / 4u, 8u * (byte & 2u), 0xffffu, bits);
}

void load(uint from) {
  barrier();
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    turned[d] = p.format == kPageI8 ? qkv[from + d] * signs[d] : qkv[from + d];
  }
  barrier();
  if (p.format == kPageI8) hadamard();
}

// The step between the codes of what was loaded, as binary16 holds it; it is stored.
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
  return damaged != 0u ? 0.0 : unpackHalf2x16(bits).x;
}

uint code_of(uint d, float inverse) {
  if (d >= p.head_dim || is_nan(turned[d])) return 0u;
  return uint(int(roundEven(clamp(turned[d] * inverse, -127.0, 127.0)))) & 255u;
}

uint bits_of(uint d, float inverse) {
  if (p.format == kPageI8) return code_of(d, inverse);
  if (d >= p.head_dim) return 0u;
  return p.format == kPageF16 ? half_bits(turned[d]) : floatBitsToUint(turned[d]);
}

void main() {
  const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint place = uint(place_of[row]), slot = place % p.page_tokens;
  const uint part = part_of(uint(sequence_of[row]), place, head);
  const uint size = element_bytes(), each = 4u / size, bits = 8u * size;
  const uint key = row * p.in_stride + (p.heads + head) * p.head_dim;

  load(key);
  float inverse = 1.0;
  if (p.format == kPageI8) {
    const float step_size = store_step(part, p.key_scales + 2u * slot);
    inverse = step_size > 0.0 ? 1.0 / step_size : 0.0;
  }
  for (uint d = lane; d < p.head_dim; d += THREADS) {
    const uint at = key_at(slot, d);
    if (size == 4u) pages[part + at] = bits_of(d, inverse);
    else put(part + at / each, at % each * bits, (1u << bits) - 1u, bits_of(d, inverse));
  }

  load(key + p.key_heads * p.head_dim);
  if (p.format == kPageI8) {
    const float step_size = store_step(part, p.value_scales + 2u * slot);
    inverse = step_size > 0.0 ? 1.0 / step_size : 0.0;
  }
  // Words of values belong to one token.
  for (uint d = lane * each; d < padded_width(); d += THREADS * each) {
    uint word = 0u;
    for (uint i = 0u; i < each; ++i) word |= bits_of(d + i, inverse) << (i * bits);
    pages[part + p.values / 4u + value_at(slot, d) / each] = word;
  }
}
