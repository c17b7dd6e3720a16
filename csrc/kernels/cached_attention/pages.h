#pragma once

// What sixteen elements beside each other are in each format. Included by ISA sources only.

#include "kernels/cached_attention/cached_attention.h"
#include "kernels/cached_attention/unpack.h"

namespace arrowmind::ARROWMIND_ISA {

// The largest of binary16; a NaN stays one.
inline F32x16 clamp_f16(F32x16 x) {
  return min(set1(65504.0f), max(set1(-65504.0f), x));
}

struct F32Page {
  static constexpr int64_t kKeyStep = 64, kValueStep = 64;  // bytes of 16 elements
  static constexpr bool kScaled = false;
  static F32x16 key16(const char* p) { return load(reinterpret_cast<const float*>(p)); }
  static F32x16 value16(const char* p) { return key16(p); }
  static void put16(char* p, F32x16 lanes) { store(reinterpret_cast<float*>(p), lanes); }
};

struct F16Page {
  static constexpr int64_t kKeyStep = 32, kValueStep = 32;
  static constexpr bool kScaled = false;
  static F32x16 key16(const char* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }
  static F32x16 value16(const char* p) { return key16(p); }
  static void put16(char* p, F32x16 lanes) { store_f16(reinterpret_cast<uint16_t*>(p), clamp_f16(lanes)); }
};

struct I8Page {
  static constexpr int64_t kKeyStep = 16, kValueStep = 16;
  static constexpr bool kScaled = true;
  static F32x16 key16(const char* p) { return load_i8(reinterpret_cast<const int8_t*>(p)); }
  static F32x16 value16(const char* p) { return key16(p); }
  // Lanes that are whole numbers already.
  static void put16(char* p, F32x16 lanes) { store_codes(reinterpret_cast<int8_t*>(p), lanes, zero_codes()); }
};

// Codes stand for the middles of equal steps on both sides of 0.
struct K4V4Page {
  static constexpr int64_t kKeyStep = 8, kValueStep = 8;
  static constexpr bool kScaled = true;
  static constexpr float kKeyMiddle = 7.5f, kValueMiddle = 7.5f;
  static F32x16 key16(const char* p) { return load_4_bits(p) - set1(kKeyMiddle); }
  static F32x16 value16(const char* p) { return key16(p); }
  static void pack_values(const int8_t* codes, char* p) { pack_4_bits(codes, p); }
};

struct K4V3Page {
  static constexpr int64_t kKeyStep = 8, kValueStep = 6;
  static constexpr bool kScaled = true;
  static constexpr float kKeyMiddle = 7.5f, kValueMiddle = 3.5f;
  static F32x16 key16(const char* p) { return load_4_bits(p) - set1(kKeyMiddle); }
  static F32x16 value16(const char* p) { return load_3_bits(p) - set1(kValueMiddle); }
  static void pack_values(const int8_t* codes, char* p) { pack_3_bits(codes, p); }
};

inline F32x16 load_scales(const char* scales, int64_t slot) {
  return load_f16(reinterpret_cast<const uint16_t*>(scales) + slot);
}

// Calls body(Page()) for the page type of a format.
template <typename Body>
inline void with_page(cached_attention::Format format, const Body& body) {
  switch (format) {
    case cached_attention::Format::kF32:
      return body(F32Page());
    case cached_attention::Format::kF16:
      return body(F16Page());
    case cached_attention::Format::kI8:
      return body(I8Page());
    case cached_attention::Format::kK4V4:
      return body(K4V4Page());
    case cached_attention::Format::kK4V3:
      return body(K4V3Page());
  }
}

inline int64_t padded_width(int64_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}

// Sums and differences of pairs, fours and so on: Hadamard's matrix times each `block` of x, a power of two.
inline void hadamard(float* x, int64_t size, int64_t block) {
  for (int64_t half = 1; half < block; half *= 2) {
    for (int64_t i = 0; i < size; i += 2 * half) {
      for (int64_t j = i; j < i + half; ++j) {
        const float a = x[j], b = x[j + half];
        x[j] = a + b;
        x[j + half] = a - b;
      }
    }
  }
}

inline int64_t hadamard_block(int64_t head_dim) {
  return head_dim & -head_dim;
}

inline void rotate(const float* x, const float* signs, int64_t head_dim, float* turned) {
  for (int64_t d = 0; d < head_dim; ++d) turned[d] = x[d] * signs[d];
  hadamard(turned, head_dim, hadamard_block(head_dim));
}

inline void rotate_back(float* x, const float* signs, int64_t head_dim) {
  hadamard(x, head_dim, hadamard_block(head_dim));
  for (int64_t d = 0; d < head_dim; ++d) x[d] *= signs[d];
}

}  // namespace arrowmind::ARROWMIND_ISA
