// Formats of pages, as shaders read and write them (cached_attention.h; pages.h and gpu_pages.h have the same for others).
// A piece is 16 elements beside each other.

#define MOST_DIM 1024

const uint kPageF32 = 0;
const uint kPageF16 = 1;
const uint kPageI8 = 2;
const uint kPageK4V4 = 3;
const uint kPageK4V3 = 4;
const uint kNoPage = 0xffffffffu;

// Codes are middles of steps, from -last up to last.
const float kLastOf4 = 7.5;
const float kLastOf3 = 3.5;

struct PagePart {
  uint format, first_byte, head_bytes, values, key_scales, value_scales;
};

bool is_scaled(uint format) {
  return format >= kPageI8;
}

uint padded_width(uint head_dim) {
  return (head_dim + 15u) / 16u * 16u;
}

// Bytes of an element of the formats that rows are written in.
uint element_bytes(uint format) {
  return format == kPageF32 ? 4u : format == kPageF16 ? 2u : 1u;
}

// The first word of a head's part of the page that begins at `word`.
uint part_of(uint word, PagePart at, uint key_head) {
  return word + (at.first_byte + key_head * at.head_bytes) / 4u;
}

// Element `lane` of a piece of 4 bits, of its word lane % 2; and of one of 3.
float four_bits(uint word, uint lane) {
  return float((word >> (4u * (lane / 2u))) & 15u) - kLastOf4;
}
float three_bits(uint low, uint high, uint lane) {
  return float(((low >> (2u * lane)) & 3u) | (((high >> lane) & 1u) << 2)) - kLastOf3;
}

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
