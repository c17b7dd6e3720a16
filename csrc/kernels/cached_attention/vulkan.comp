#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// cached_attention: a group for each row and head of queries, as kernels/attention/vulkan.comp, over pages.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, key_heads, head_dim, in_stride;
  uint page_tokens, table_stride, format;
  uint first_byte, head_bytes, values, key_scales, value_scales;
  uint out_stride, window;
  float scale, cap;
} p;
layout(binding = 0) readonly buffer Qkv { float qkv[]; };
layout(binding = 1) readonly buffer Table { uint table[]; };
layout(binding = 2) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 3) readonly buffer PlaceOf { int place_of[]; };
layout(binding = 4) readonly buffer Signs { float signs[]; };
layout(binding = 5) readonly buffer Pages { uint pages[]; };
layout(binding = 6) writeonly buffer Out { float result[]; };

#include "kernels/cached_attention/vulkan_pages.glsl"

shared float query[MOST_DIM];
shared float weights[THREADS];
shared uint parts[THREADS];

const float kLeast = -3.0e38;

float element(uint word_base, uint at) {
  if (p.format == kPageF32) return uintBitsToFloat(pages[word_base + at]);
  if (p.format == kPageF16) return half_of(pages[word_base + at / 2u], at);
  return float(int(pages[word_base + at / 4u] << (24u - 8u * (at & 3u))) >> 24);
}

// The step of a token.
float step_at(uint part, uint byte) {
  return p.format == kPageI8 ? half_of(pages[part + byte / 4u], byte / 2u) : 1.0;
}

void read_query(uint from) {
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    turned[d] = p.format == kPageI8 ? qkv[from + d] * signs[d] : qkv[from + d];
  }
  barrier();
  if (p.format == kPageI8) hadamard();
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    query[d] = turned[d] * p.scale;
    turned[d] = 0.0;
  }
  barrier();
}

float score_of(uint part, uint slot) {
  float total = 0.0;
  for (uint d = 0u; d < p.head_dim; ++d) total = fma(query[d], element(part, key_at(slot, d)), total);
  total *= step_at(part, p.key_scales + 2u * slot);
  // Whatever is not a number makes NaN of the row.
  if (!is_finite(total)) return kNan;
  return p.cap > 0.0 ? soft_cap(total, p.cap) : total;
}

void main() {
  const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint sequence = uint(sequence_of[row]), end = uint(place_of[row]) + 1u;
  const uint begin = p.window > 0u && end > p.window ? end - p.window : 0u;
  const uint key_head = head / (p.heads / p.key_heads);
  read_query(row * p.in_stride + head * p.head_dim);

  float largest = kLeast, total = 0.0;
  for (uint block = begin; block < end; block += THREADS) {
    const uint token = min(block + lane, end - 1u), slot = token % p.page_tokens;
    const uint part = part_of(sequence, token, key_head);
    const float score = score_of(part, slot);
    const bool counts = block + lane < end;
    const float known = group_max(counts && !is_nan(score) ? score : kLeast);
    const float before = largest;
    largest = max(largest, known);
    const float weight = counts ? exp_of(score - largest) : 0.0;
    weights[lane] = weight * step_at(part, p.value_scales + 2u * slot);
    parts[lane] = part;
    const float shrink = before == kLeast ? 0.0 : exp_of(before - largest);
    total = total * shrink + group_sum(weight);
    const uint keys = min(end - block, THREADS);
    for (uint d = lane; d < p.head_dim; d += THREADS) {
      float mix = turned[d] * shrink;
      for (uint i = 0u; i < keys; ++i) {
        const float value = element(parts[i] + p.values / 4u, value_at((block + i) % p.page_tokens, d));
        mix = fma(weights[i], value, mix);
      }
      turned[d] = mix;
    }
    barrier();
  }
  for (uint d = lane; d < p.head_dim; d += THREADS) turned[d] /= total;
  barrier();
  if (p.format == kPageI8) hadamard();
  for (uint d = lane; d < p.head_dim; d += THREADS) {
    const float value = p.format == kPageI8 ? turned[d] * signs[d] : turned[d];
    result[row * p.out_stride + head * p.head_dim + d] = is_finite(value) ? value : kNan;
  }
}
