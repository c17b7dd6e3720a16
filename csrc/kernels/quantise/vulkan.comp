#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// Codes of activations, as kernels/quantise/quantise.h: a group for each row, or with IN_BLOCKS for each block of one.
// IN_WORDS: codes of 16 bits.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint x_stride, stride, width;
  uint flags;
  uint blocks, parts;
  uint block, part;
} p;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Multiplier { float multiplier[]; };
layout(binding = 2) writeonly buffer Codes { uint codes[]; };
layout(binding = 3) writeonly buffer Scale { float scales[]; };
layout(binding = 4) writeonly buffer Sum { int sums[]; };
layout(binding = 5) writeonly buffer Zero { int zeros[]; };

#define kSmallest uintBitsToFloat((127u - 96u) << 23)

// Value k of the row; 0 behind its end.
float value_at(uint k) {
  if (k >= p.width) return 0.0;
  precise float value = x[gl_WorkGroupID.y * p.x_stride + k];
  if ((p.flags & kHasMultiplier) != 0u) value = value * multiplier[k];
  return value;
}

uint packed(ivec4 four) {
  const uvec4 bytes = uvec4(four) & 255u;
  return bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
}

#ifdef IN_BLOCKS

shared int word_sums[THREADS];

// A thread for each word of four codes: a block has 128 codes at most.
void main() {
  const uint row = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
  const uint first = gl_WorkGroupID.x * p.block;
  const uint words = p.block / 4u;
  uint largest = 0u;
  for (uint k = lane; k < p.block; k += THREADS) {
    largest = max(largest, floatBitsToUint(value_at(first + k)) & 0x7fffffffu);
  }
  const float magnitude = uintBitsToFloat(group_max(largest));
  const bool damaged = !is_finite(magnitude);
  const bool nothing = damaged || magnitude < kSmallest;
  const float factor = nothing ? 0.0 : 127.0 / magnitude;
  int total = 0;
  if (lane < words) {
    ivec4 four = ivec4(0);
    if (!nothing) {
      for (uint i = 0u; i < 4u; ++i) {
        precise float scaled = value_at(first + 4u * lane + i) * factor;
        four[i] = int(roundEven(scaled));
      }
    }
    codes[(row * p.stride + first) / 4u + lane] = packed(four);
    total = four.x + four.y + four.z + four.w;
  }
  word_sums[lane] = total;
  barrier();
  const uint in_block = p.block / p.part, words_of_part = p.part / 4u;
  if (lane < in_block) {
    int part_sum = 0;
    for (uint i = 0u; i < words_of_part; ++i) part_sum += word_sums[lane * words_of_part + i];
    sums[row * p.parts + gl_WorkGroupID.x * in_block + lane] = part_sum;
  }
  if (lane == 0u) scales[row * p.blocks + gl_WorkGroupID.x] = damaged ? kNan : nothing ? 0.0 : magnitude / 127.0;
}

#elif defined(IN_WORDS)

void main() {
  const uint row = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
  const uint words = (p.width + 3u) / 4u * 2u, first_word = row * p.stride / 2u;
  uint largest = 0u;
  for (uint k = lane; k < p.width; k += THREADS) {
    largest = max(largest, floatBitsToUint(value_at(k)) & 0x7fffffffu);
  }
  const float magnitude = uintBitsToFloat(group_max(largest));
  const bool damaged = !is_finite(magnitude);
  const bool nothing = damaged || magnitude < kSmallest;
  const float limit = float(min(32767u, 0x7fffffffu / (127u * p.width)));
  const float factor = nothing ? 0.0 : limit / magnitude;
  int total = 0;
  for (uint word = lane; word < words; word += THREADS) {
    ivec2 two = ivec2(0);
    if (!nothing) {
      for (uint i = 0u; i < 2u; ++i) {
        precise float scaled = value_at(2u * word + i) * factor;
        two[i] = int(roundEven(scaled));
      }
    }
    codes[first_word + word] = (uint(two.x) & 0xffffu) | uint(two.y) << 16;
    total += two.x + two.y;
  }
  total = group_sum(total);
  if (lane != 0u) return;
  scales[row] = damaged ? kNan : nothing ? 0.0 : magnitude / limit;
  sums[row] = total;
}

#else

// The high half of a number: 12 bits, whose products are exact.
float high_part(float number) {
  precise float c = number * 4097.0;
  precise float high = c - (c - number);
  return high;
}

// a * b + c rounded once, for a whole c: not every device fuses.
float multiply_add(float a, float b, float c) {
  precise float product = a * b;
  precise float error = 0.0;
  if (abs(a) < 1e30) {
    precise float a_high = high_part(a), b_high = high_part(b);
    precise float a_low = a - a_high, b_low = b - b_high;
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
  }
  precise float total = product + c;
  precise float rest = total - product;
  precise float missing = (product - (total - rest)) + (c - rest);
  precise float result = total + (missing + error);
  return result;
}

void main() {
  const uint row = gl_WorkGroupID.y, lane = gl_LocalInvocationIndex;
  const uint words = (p.width + 3u) / 4u, first_word = row * p.stride / 4u;
  uint largest = 0u;
  float low = 0.0, high = 0.0;
  for (uint k = lane; k < p.width; k += THREADS) {
    const float value = value_at(k);
    largest = max(largest, floatBitsToUint(value) & 0x7fffffffu);
    if (!is_finite(value)) continue;
    low = min(low, value);
    high = max(high, value);
  }
  const float magnitude = uintBitsToFloat(group_max(largest));
  low = -group_max(-low);
  high = group_max(high);
  precise float span = high - low;
  const bool damaged = !is_finite(magnitude) || !is_finite(span);
  if (damaged || magnitude < kSmallest) {
    for (uint word = lane; word < words; word += THREADS) codes[first_word + word] = 0u;
    if (lane == 0u) {
      scales[row] = damaged ? kNan : 0.0;
      sums[row] = 0;
      zeros[row] = 0;
    }
    return;
  }
  precise float inverse = 255.0 / span;
  precise float at_low = low * inverse;
  precise float code_of_zero = roundEven(-128.0 - at_low);
  int total = 0;
  for (uint word = lane; word < words; word += THREADS) {
    ivec4 four = ivec4(0);
    for (uint i = 0u; i < 4u && 4u * word + i < p.width; ++i) {
      const float code = multiply_add(value_at(4u * word + i), inverse, code_of_zero);
      four[i] = int(roundEven(clamp(code, -128.0, 127.0)));
    }
    codes[first_word + word] = packed(four);
    total += four.x + four.y + four.z + four.w;
  }
  total = group_sum(total);
  if (lane == 0u) {
    scales[row] = span / 255.0;
    zeros[row] = int(code_of_zero);
    sums[row] = total - int(p.width) * int(code_of_zero);
  }
}

#endif
