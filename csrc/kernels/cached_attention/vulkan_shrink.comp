#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "kernels/cached_attention/vulkan_formats.glsl"

// cache_shrink: a group for 16 tokens of a head of a page; a thread for each token and each step that is tried, whose sums run
// in the order of the CPU's (writing.h).
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint key_heads, head_dim, page_tokens;
  PagePart full, small;
} p;
layout(binding = 0) readonly buffer List { uint list[]; };
layout(binding = 1) readonly buffer Pages { uint pages[]; };
layout(binding = 2) buffer Small { uint small[]; };

const uint kShares = 6;

shared float errors[16 * kShares];
shared uint steps[16 * kShares];
shared uint best[16];

// Where the head's parts begin, and the first token.
uint from, to, slot;

// Of a token from `slot` on, as the page in full has it.
float element(bool is_value, uint token, uint d) {
  if (d >= p.head_dim) return 0.0;
  const uint word = is_value ? p.full.values / 4u + (d / 16u * p.page_tokens + slot + token) * 8u + d % 16u / 2u
                             : (slot / 16u * padded_width(p.head_dim) + d) * 8u + token / 2u;
  return half_of(pages[from + word], is_value ? d : token);
}

float share_of(uint i) {
  return i == 0u ? 1.0 : i == 1u ? 0.92 : i == 2u ? 0.84 : i == 3u ? 0.76 : i == 4u ? 0.68 : 0.6;
}

// The middle of a step nearest to x, in steps.
float middle(float x, float inverse, float last) {
  precise float scaled = x * inverse;
  const float clamped = is_nan(scaled) ? -last : clamp(scaled, -last, last);
  return roundEven(clamped - 0.5) + 0.5;
}

float inverse_step(float size) {
  return 1.0 / (is_nan(size) || size < 1e-30 ? 1e-30 : size);
}

// The steps of 16 tokens, to `best` and to their scales. Called by all threads.
void choose_steps(bool is_value, float last) {
  const uint thread = gl_LocalInvocationIndex, token = thread % 16u;
  if (thread < 16u * kShares) {
    float top = 0.0;
    for (uint d = 0u; d < p.head_dim; ++d) {
      const float x = abs(element(is_value, token, d));
      top = is_nan(top) || is_nan(x) ? x : max(top, x);
    }
    precise float share = share_of(thread / 16u) / (last + 0.5);
    precise float wanted = top * share;
    const uint bits = half_bits(wanted);
    const float size = unpackHalf2x16(bits).x, inverse = inverse_step(size);
    precise float total = 0.0;
    for (uint d = 0u; d < p.head_dim; ++d) {
      const float x = element(is_value, token, d);
      precise float is_at = middle(x, inverse, last) * size;
      precise float error = x - is_at;
      total = fma(error, error, total);
    }
    errors[thread] = total;
    steps[thread] = bits;
  }
  barrier();
  if (thread < 16u) {
    uint found = thread;
    for (uint i = thread + 16u; i < 16u * kShares; i += 16u) {
      if (errors[i] < errors[found]) found = i;
    }
    best[thread] = steps[found];
  }
  barrier();
  if (thread < 8u) {
    const uint scales = ((is_value ? p.small.value_scales : p.small.key_scales) + 2u * slot) / 4u;
    small[to + scales + thread] = best[2u * thread] | (best[2u * thread + 1u] << 16);
  }
}

uint code_of(bool is_value, float last, uint token, uint d) {
  const float inverse = inverse_step(unpackHalf2x16(best[token]).x);
  return uint(int(middle(element(is_value, token, d), inverse, last) + last));
}

// Word `k` of two pieces of 4 bits; of keys, these are columns `first` and the one behind it, of values, columns [column, column +
// 16) of tokens `first` and the one behind it.
uint word_of_4(bool is_value, uint k, uint first, uint column) {
  uint word = 0u;
  for (uint i = 0u; i < 8u; ++i) {
    const uint piece = first + k / 2u, lane = 2u * i + (k & 1u);
    const uint code = is_value ? code_of(true, kLastOf4, piece, column + lane) : code_of(false, kLastOf4, lane, piece);
    word |= code << (4u * i);
  }
  return word;
}

// The low bits of a piece of 3 bits, and the high ones.
uint low_bits(uint token, uint column) {
  uint word = 0u;
  for (uint i = 0u; i < 16u; ++i) word |= (code_of(true, kLastOf3, token, column + i) & 3u) << (2u * i);
  return word;
}
uint high_bits(uint token, uint column) {
  uint word = 0u;
  for (uint i = 0u; i < 16u; ++i) word |= (code_of(true, kLastOf3, token, column + i) >> 2) << i;
  return word;
}
uint word_of_3(uint k, uint token, uint column) {
  if (k == 0u) return low_bits(token, column);
  const uint low = low_bits(token + 1u, column);
  if (k == 1u) return high_bits(token, column) | (low << 16);
  return (low >> 16) | (high_bits(token + 1u, column) << 16);
}

void main() {
  const uint page = gl_WorkGroupID.y, head = gl_WorkGroupID.z, thread = gl_LocalInvocationIndex;
  slot = gl_WorkGroupID.x * 16u;
  from = part_of(list[2u * page], p.full, head);
  to = part_of(list[2u * page + 1u], p.small, head);
  const uint width = padded_width(p.head_dim);

  choose_steps(false, kLastOf4);
  for (uint i = thread; i < width * 2u; i += THREADS) {
    small[to + slot / 16u * width * 2u + i] = word_of_4(false, i % 4u, i / 4u * 2u, 0u);
  }
  barrier();

  const bool has_4 = p.small.format == kPageK4V4;
  choose_steps(true, has_4 ? kLastOf4 : kLastOf3);
  const uint each = has_4 ? 4u : 3u, panel = 8u * each;
  for (uint i = thread; i < width / 16u * panel; i += THREADS) {
    const uint column = i / panel * 16u, token = i % panel / each * 2u;
    const uint word = has_4 ? word_of_4(true, i % each, token, column) : word_of_3(i % each, token, column);
    small[to + p.small.values / 4u + (column / 16u * p.page_tokens + slot) / 2u * each + i % panel] = word;
  }
}
