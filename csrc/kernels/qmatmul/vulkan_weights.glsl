// Packed weights of a panel of 16 outputs, for a thread that computes four of them: `part` of the panel. open_unit() reads
// what 16 k need, levels(quad, i) are the weights of k = 16 unit + 4 quad + i, before scales. W_... names the form.
// (kernels/qmatmul/qmatmul.h and kernels/grid/ say how weights are packed.)

#if defined(W_F32)
layout(binding = 4) readonly buffer W { vec4 w[]; };
#elif defined(W_F16) || defined(W_BF16)
layout(binding = 4) readonly buffer W { uvec2 w[]; };
#else
layout(binding = 4) readonly buffer W { uvec4 w[]; };
#endif

#if defined(W_I8G) || defined(W_I4G) || defined(W_I2G) || defined(W_FP4G) || defined(W_T2G) || defined(W_T3G)
#define IS_GRID
layout(binding = 5) readonly buffer Scales { uint scales[]; };
layout(binding = 6) readonly buffer Zeros { uint zeros[]; };
layout(binding = 8) readonly buffer Outer { vec4 outer[]; };
#else
layout(binding = 5) readonly buffer Scales { vec4 scales[]; };
layout(binding = 6) readonly buffer Zeros { vec4 zeros[]; };
#endif

// Rows of 64 bytes, or of 16 halves or floats, of a panel.
uint panel_rows() {
#if defined(W_F32) || defined(W_F16) || defined(W_BF16)
  return p.k;
#elif defined(W_I8)
  return (p.k + 3u) / 4u;
#else
  const uint block = p.group == 0u ? 128u : max(p.group, 32u);
  const uint padded = (p.k + block - 1u) / block * block;
#if defined(W_I8G)
  return padded / 4u;
#elif defined(W_I4G) || defined(W_FP4G)
  return padded / 8u;
#elif defined(W_T3G)
  return padded / 32u * 3u;
#else
  return padded / 16u;
#endif
#endif
}

#if defined(W_F32) || defined(W_F16) || defined(W_BF16)

uint unit_row, unit_first_k;

void open_unit(uint panel, uint part, uint unit) {
  unit_first_k = 16u * unit;
  unit_row = (panel * p.k + unit_first_k) * 4u + part;
}

vec4 levels(uint quad, uint i) {
  const uint k = 4u * quad + i;
  if (unit_first_k + k >= p.k) return vec4(0.0);
#if defined(W_F32)
  return w[unit_row + 4u * k];
#else
  const uvec2 pairs = w[unit_row + 4u * k];
#if defined(W_F16)
  return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));
#else
  return uintBitsToFloat(uvec4(pairs.x << 16, pairs.x & 0xffff0000u, pairs.y << 16, pairs.y & 0xffff0000u));
#endif
#endif
}

#elif defined(W_I8) || defined(W_I8G)

uvec4 unit_words[4];

void open_unit(uint panel, uint part, uint unit) {
  const uint rows = panel_rows();
  [[unroll]] for (uint quad = 0u; quad < 4u; ++quad) {
    const uint row = 4u * unit + quad;
    unit_words[quad] = row < rows ? w[(panel * rows + row) * 4u + part] : uvec4(0u);
  }
}

ivec4 codes(uint quad, uint i) {
  return ivec4(unit_words[quad] << (24u - 8u * i)) >> 24;
}
vec4 levels(uint quad, uint i) {
  return vec4(codes(quad, i));
}

#elif defined(W_I4G) || defined(W_FP4G)

uvec4 unit_words[2];

void open_unit(uint panel, uint part, uint unit) {
  const uint row = panel * panel_rows() + 2u * unit;
  unit_words[0] = w[row * 4u + part];
  unit_words[1] = w[(row + 1u) * 4u + part];
}

vec4 levels(uint quad, uint i) {
  const uvec4 code = (unit_words[quad / 2u] >> (8u * i + 4u * (quad & 1u))) & 15u;
#if defined(W_I4G)
  return vec4(code);
#else
  // E2M1: the number's bits but for those of the two smallest magnitudes, 0 and 1/2.
  const uvec4 magnitude = code & 7u;
  const uvec4 bits = (magnitude << 22) + (126u << 23);
  const vec4 small = 0.5 * vec4(magnitude);
  const vec4 value = mix(uintBitsToFloat(bits), small, lessThan(magnitude, uvec4(2u)));
  return mix(value, -value, greaterThan(code, uvec4(7u)));
#endif
}

#elif defined(W_I2G)

uvec4 unit_words;

void open_unit(uint panel, uint part, uint unit) {
  unit_words = w[(panel * panel_rows() + unit) * 4u + part];
}

vec4 levels(uint quad, uint i) {
  return vec4((unit_words >> (8u * i + 2u * quad)) & 3u);
}

#else  // a trellis: levels of streams of bits, one for each output and k mod 4 (kernels/grid/trellis.h)

shared float first_levels[16], second_levels[16];

#if defined(W_T2G)
const float kFirst[16] = {0, 11, 6, 16, 8, 6, 13, 7, 13, 2, 1, 3, 5, 9, 8, 11};
const float kSecond[16] = {7, 10, 2, 5, 2, 6, 7, 11, 5, 1, 6, 10, 5, 0, 12, 8};
#else
const float kFirst[16] = {11, 0, 6, 22, 15, 13, 31, 7, 18, 9, 24, 19, 0, 28, 20, 15};
const float kSecond[16] = {20, 16, 12, 4, 9, 30, 16, 24, 30, 0, 19, 24, 18, 14, 5, 10};
#endif

void open_tables() {
  const uint lane = gl_LocalInvocationIndex;
  if (lane < 16u) {
    first_levels[lane] = kFirst[lane];
    second_levels[lane] = kSecond[lane];
  }
  barrier();
}

vec4 level_of(uvec4 first, uvec4 second) {
  first &= 15u;
  second &= 15u;
  return vec4(first_levels[first.x], first_levels[first.y], first_levels[first.z], first_levels[first.w]) +
         vec4(second_levels[second.x], second_levels[second.y], second_levels[second.z], second_levels[second.w]);
}

// The streams of k mod 4 = i: the bytes of this unit, and of the row before it below them.
uvec4 stream(uvec4 word, uint i) {
  return (word >> (8u * i)) & 255u;
}

#if defined(W_T2G)

uvec4 unit_words, words_before;

void open_unit(uint panel, uint part, uint unit) {
  const uint row = panel * panel_rows() + unit;
  unit_words = w[row * 4u + part];
  words_before = unit == 0u ? uvec4(0u) : w[(row - 1u) * 4u + part];
}

vec4 levels(uint quad, uint i) {
  const uvec4 bits = stream(unit_words, i) << 8 | stream(words_before, i);
  return level_of(bits >> (6u + 2u * quad), bits >> (2u + 2u * quad));
}

#else

uvec4 unit_words[3], words_before;
uint unit_half;

void open_unit(uint panel, uint part, uint unit) {
  const uint row = panel * panel_rows() + unit / 2u * 3u;
  [[unroll]] for (uint i = 0u; i < 3u; ++i) unit_words[i] = w[(row + i) * 4u + part];
  words_before = unit < 2u ? uvec4(0u) : w[(row - 1u) * 4u + part];
  unit_half = 4u * (unit & 1u);
}

vec4 levels(uint quad, uint i) {
  const uvec4 bits = stream(unit_words[2], i) << 24 | stream(unit_words[1], i) << 16 |
                     stream(unit_words[0], i) << 8 | stream(words_before, i);
  const uint at = 3u * (unit_half + quad);
  return level_of(bits >> (7u + at), bits >> (4u + at));
}

#endif
#endif

#if defined(IS_GRID)

// Scales and zero points of the four outputs in a unit.
uint scale_index(uint panel, uint part, uint unit) {
  return (panel * p.groups + (p.group == 0u ? 0u : 16u * unit / p.group)) * 16u + 4u * part;
}

vec4 unit_scales(uint panel, uint part, uint unit) {
  const uint index = scale_index(panel, part, unit);
  vec4 found;
  if (p.scale_type == kScaleF32) {
    found = uintBitsToFloat(uvec4(scales[index], scales[index + 1u], scales[index + 2u], scales[index + 3u]));
  } else if (p.scale_type == kScaleF16) {
    found = vec4(unpackHalf2x16(scales[index / 2u]), unpackHalf2x16(scales[index / 2u + 1u]));
  } else {
    const uint word = scales[index / 4u];
    [[unroll]] for (uint i = 0u; i < 4u; ++i) found[i] = byte_scale(byte_of(word, i), p.scale_type);
  }
  return (p.flags & kHasOuter) != 0u ? found * outer[4u * panel + part] : found;
}

vec4 unit_zeros(uint panel, uint part, uint unit) {
#if defined(W_I8G) || defined(W_FP4G)
  return vec4(0.0);
#else
#if defined(W_I4G)
  const float step_size = 1.0 / 16.0, whole = 8.0;
#elif defined(W_I2G)
  const float step_size = 1.0 / 64.0, whole = 1.5;
#elif defined(W_T2G)
  const float step_size = 0.5, whole = 13.5;
#else
  const float step_size = 0.5, whole = 30.5;
#endif
  if ((p.flags & kHasZeros) == 0u) return vec4(whole);
  const uint word = zeros[scale_index(panel, part, unit) / 4u];
  return vec4(byte_of(word, 0u), byte_of(word, 1u), byte_of(word, 2u), byte_of(word, 3u)) * step_size;
#endif
}

#endif
