#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"
#include "kernels/cached_attention/vulkan_formats.glsl"

// cached_attention: a group for each row and head of queries, as kernels/attention/vulkan.comp, over pages.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint heads, key_heads, head_dim, in_stride;
  uint page_tokens, table_stride;
  uint turned;
  PagePart full, small;
  uint small_table, first_small, recent;
  uint out_stride, window;
  float scale, cap;
} p;
layout(binding = 0) readonly buffer Qkv { float qkv[]; };
layout(binding = 1) readonly buffer Table { uint table[]; };
layout(binding = 2) readonly buffer SequenceOf { int sequence_of[]; };
layout(binding = 3) readonly buffer PlaceOf { int place_of[]; };
layout(binding = 4) readonly buffer Signs { float signs[]; };
layout(binding = 5) readonly buffer Pages { uint pages[]; };
layout(binding = 6) readonly buffer Small { uint small[]; };
layout(binding = 7) writeonly buffer Out { float result[]; };

#include "kernels/cached_attention/vulkan_turning.glsl"

shared float query[MOST_DIM];
shared float weights[THREADS];
shared uint parts[THREADS];
shared uint in_small[THREADS];

const float kLeast = -3.0e38;

// Element `lane` of a piece of keys, or of values, that begin at word `base` of their page.
float element(bool is_small, bool is_value, uint base, uint piece, uint lane) {
  if (is_small) {
    if (!is_value || p.small.format == kPageK4V4) return four_bits(small[base + piece * 2u + (lane & 1u)], lane);
    const uint two = base + piece / 2u * 3u;
    if ((piece & 1u) == 0u) return three_bits(small[two], small[two + 1u], lane);
    return three_bits((small[two + 1u] >> 16) | (small[two + 2u] << 16), small[two + 2u] >> 16, lane);
  }
  if (p.full.format == kPageF32) return uintBitsToFloat(pages[base + piece * 16u + lane]);
  if (p.full.format == kPageF16) return half_of(pages[base + piece * 8u + lane / 2u], lane);
  return float(int(pages[base + piece * 4u + lane / 4u] << (24u - 8u * (lane & 3u))) >> 24);
}

// The step of a token.
float step_at(bool is_small, uint part, uint byte) {
  if (is_small) return half_of(small[part + byte / 4u], byte / 2u);
  return is_scaled(p.full.format) ? half_of(pages[part + byte / 4u], byte / 2u) : 1.0;
}

void read_query(uint from) {
  read_row(from);
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    query[d] = turned[d] * p.scale;
    turned[d] = 0.0;
  }
  barrier();
}

float score_of(bool is_small, uint part, uint slot) {
  const uint first = slot / 16u * padded_width(p.head_dim);
  float total = 0.0;
  for (uint d = 0u; d < p.head_dim; ++d) {
    total = fma(query[d], element(is_small, false, part, first + d, slot % 16u), total);
  }
  total *= step_at(is_small, part, (is_small ? p.small.key_scales : p.full.key_scales) + 2u * slot);
  // Whatever is not a number makes NaN of the row.
  if (!is_finite(total)) return kNan;
  return p.cap > 0.0 ? soft_cap(total, p.cap) : total;
}

// Whether a row that sees `end` tokens reads a page small.
bool is_small_page(uint page, uint word, uint end) {
  if (p.small_table == 0u || page < p.first_small) return false;
  return word == kNoPage || (end > p.recent && (page + 1u) * p.page_tokens <= end - p.recent);
}

void main() {
  const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.z, lane = gl_LocalInvocationIndex;
  const uint own_table = uint(sequence_of[row]) * p.table_stride, end = uint(place_of[row]) + 1u;
  const uint begin = p.window > 0u && end > p.window ? end - p.window : 0u;
  const uint key_head = head / (p.heads / p.key_heads);
  read_query(row * p.in_stride + head * p.head_dim);

  float largest = kLeast, total = 0.0;
  for (uint block = begin; block < end; block += THREADS) {
    const uint token = min(block + lane, end - 1u), page = token / p.page_tokens, slot = token % p.page_tokens;
    uint word = table[own_table + page];
    const bool is_small = is_small_page(page, word, end);
    if (is_small) word = table[p.small_table + own_table + page];
    const uint part = is_small ? part_of(word, p.small, key_head) : part_of(word, p.full, key_head);
    const float score = score_of(is_small, part, slot);
    const bool counts = block + lane < end;
    const float known = group_max(counts && !is_nan(score) ? score : kLeast);
    const float before = largest;
    largest = max(largest, known);
    const float weight = counts ? exp_of(score - largest) : 0.0;
    const uint byte = (is_small ? p.small.value_scales : p.full.value_scales) + 2u * slot;
    weights[lane] = weight * step_at(is_small, part, byte);
    parts[lane] = part + (is_small ? p.small.values : p.full.values) / 4u;
    in_small[lane] = is_small ? 1u : 0u;
    const float shrink = before == kLeast ? 0.0 : exp_of(before - largest);
    total = total * shrink + group_sum(weight);
    const uint keys = min(end - block, THREADS);
    for (uint d = lane; d < p.head_dim; d += THREADS) {
      float mix = turned[d] * shrink;
      for (uint i = 0u; i < keys; ++i) {
        const uint piece = d / 16u * p.page_tokens + (block + i) % p.page_tokens;
        mix = fma(weights[i], element(in_small[i] != 0u, true, parts[i], piece, d % 16u), mix);
      }
      turned[d] = mix;
    }
    barrier();
  }
  for (uint d = lane; d < p.head_dim; d += THREADS) turned[d] /= total;
  barrier();
  if (p.turned != 0u) hadamard();
  for (uint d = lane; d < p.head_dim; d += THREADS) {
    const float value = p.turned != 0u ? turned[d] * signs[d] : turned[d];
    result[row * p.out_stride + head * p.head_dim + d] = is_finite(value) ? value : kNan;
  }
}
