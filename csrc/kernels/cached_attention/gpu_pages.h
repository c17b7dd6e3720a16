#pragma once

// What kernels for CUDA and HIP know of pages: one struct for each format, as pages.h has for the CPU.
// Layouts are those of cached_attention.h; a piece is 16 elements beside each other.

#include "device/gpu/math.h"

namespace arrowmind::device::gpu {

// --- elements of a piece. kLast: codes are middles of steps, from -kLast up to kLast.

struct Floats {
  ARROWMIND_DEVICE static float at(const uint32_t* words, uint32_t piece, uint32_t lane) {
    return float_of(words[piece * 16 + lane]);
  }
};

struct Halves {
  ARROWMIND_DEVICE static float at(const uint32_t* words, uint32_t piece, uint32_t lane) {
    return half_float(words[piece * 8 + lane / 2] >> 16 * (lane & 1) & 0xffff);
  }
};

struct Bytes {
  ARROWMIND_DEVICE static float at(const uint32_t* words, uint32_t piece, uint32_t lane) {
    return static_cast<float>(static_cast<int8_t>(words[piece * 4 + lane / 4] >> 8 * (lane & 3) & 0xff));
  }
};

// As unpack.h packs them. Word `k` of two pieces beside each other, of code(piece, lane).
struct FourBits {
  static constexpr float kLast = 7.5f;
  static constexpr uint32_t kWordsOfTwo = 4;
  ARROWMIND_DEVICE static float at(const uint32_t* words, uint32_t piece, uint32_t lane) {
    const uint32_t code = words[piece * 2 + (lane & 1)] >> 4 * (lane / 2) & 15;
    return static_cast<float>(static_cast<int32_t>(code)) - kLast;
  }
  template <class Code>
  ARROWMIND_DEVICE static uint32_t word(uint32_t k, const Code& code) {
    uint32_t packed = 0;
    for (uint32_t i = 0; i < 8; ++i) packed |= code(k / 2, 2 * i + (k & 1)) << 4 * i;
    return packed;
  }
};

struct ThreeBits {
  static constexpr float kLast = 3.5f;
  static constexpr uint32_t kWordsOfTwo = 3;
  ARROWMIND_DEVICE static float at(const uint32_t* words, uint32_t piece, uint32_t lane) {
    const uint32_t* two = words + piece / 2 * 3;
    const bool odd = (piece & 1) != 0;
    const uint32_t low = odd ? two[1] >> 16 | two[2] << 16 : two[0];
    const uint32_t high = odd ? two[2] >> 16 : two[1];
    const uint32_t code = (low >> 2 * lane & 3) | (high >> lane & 1) << 2;
    return static_cast<float>(static_cast<int32_t>(code)) - kLast;
  }
  template <class Code>
  ARROWMIND_DEVICE static uint32_t word(uint32_t k, const Code& code) {
    const auto low = [&](uint32_t piece) {
      uint32_t packed = 0;
      for (uint32_t i = 0; i < 16; ++i) packed |= (code(piece, i) & 3) << 2 * i;
      return packed;
    };
    const auto high = [&](uint32_t piece) {
      uint32_t packed = 0;
      for (uint32_t i = 0; i < 16; ++i) packed |= code(piece, i) >> 2 << i;
      return packed;
    };
    return k == 0 ? low(0) : k == 1 ? high(0) | low(1) << 16 : low(1) >> 16 | high(1) << 16;
  }
};

// --- formats

struct PageOfF32 {
  using Keys = Floats;
  using Values = Floats;
  static constexpr bool kScaled = false;
};
struct PageOfF16 {
  using Keys = Halves;
  using Values = Halves;
  static constexpr bool kScaled = false;
};
struct PageOfI8 {
  using Keys = Bytes;
  using Values = Bytes;
  static constexpr bool kScaled = true;
};
struct PageOfK4V4 {
  using Keys = FourBits;
  using Values = FourBits;
  static constexpr bool kScaled = true;
};
struct PageOfK4V3 {
  using Keys = FourBits;
  using Values = ThreeBits;
  static constexpr bool kScaled = true;
};

// body(format) for formats that rows are written in, and for those that whole pages are made small in.
template <class Body>
ARROWMIND_DEVICE void with_small_page(uint32_t format, const Body& body) {
  if (format == kPageK4V4) return body(PageOfK4V4());
  body(PageOfK4V3());
}
template <class Body>
ARROWMIND_DEVICE void with_page(uint32_t format, const Body& body) {
  if (format == kPageF32) return body(PageOfF32());
  if (format == kPageF16) return body(PageOfF16());
  if (format == kPageI8) return body(PageOfI8());
  with_small_page(format, body);
}

// --- places

ARROWMIND_DEVICE uint32_t padded_width(uint32_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}
// Elements, from the first key or value of the part on.
ARROWMIND_DEVICE uint32_t key_at(uint32_t slot, uint32_t d, uint32_t head_dim) {
  return slot / 16 * padded_width(head_dim) * 16 + d * 16 + slot % 16;
}
ARROWMIND_DEVICE uint32_t value_at(uint32_t slot, uint32_t d, uint32_t page_tokens) {
  return d / 16 * page_tokens * 16 + slot * 16 + d % 16;
}

// A head's part of the page that begins at `word`.
template <class Word>
ARROWMIND_DEVICE Word* part_of(Word* pages, uint32_t word, const PagePart& at, uint32_t head) {
  return pages + uint64_t{word} + (at.first_byte + head * at.head_bytes) / 4;
}

ARROWMIND_DEVICE float step_at(const uint32_t* part, uint32_t byte) {
  return half_float(part[byte / 4] >> 8 * (byte & 2) & 0xffff);
}

// Binary16 to the nearest, ties to even; what is beyond becomes the largest, a NaN stays one.
ARROWMIND_DEVICE uint32_t half_bits(float x) {
  const uint32_t bits = bits_of(x) & 0x7fffffffu, sign = bits_of(x) >> 16 & 0x8000u;
  if (bits > 0x7f800000u) return sign | 0x7e00u | (bits >> 13 & 0x1ffu);
  if (bits >= 0x477fe000u) return sign | 0x7bffu;  // 65504 and above
  if (bits < 0x38800000u) return sign | (bits_of(float_of(bits) + 0.5f) - 0x3f000000u);
  return sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13;
}

}  // namespace arrowmind::device::gpu
