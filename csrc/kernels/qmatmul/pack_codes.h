#pragma once

// Fours of codes of one row of activations -> where a tile reads them, `step` elements apart, for x86.
// Included by the ISA sources only.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

// For instructions with one unsigned operand: biased to a + 128. What that adds, 128 * w_sum, is taken off at
// the end.
inline void pack_biased(const int8_t* in, int64_t quads, int64_t step, uint8_t* out) {
  for (int64_t quad = 0; quad < quads; ++quad) {
    uint32_t codes;
    std::memcpy(&codes, in + quad * qmatmul::kQuad, 4);
    codes ^= 0x80808080u;
    std::memcpy(out + quad * step, &codes, 4);
  }
}

// As words.
inline void pack_words(const int8_t* in, int64_t quads, int64_t step, int16_t* out) {
  for (int64_t quad = 0; quad < quads; ++quad) {
    int32_t codes;
    std::memcpy(&codes, in + quad * qmatmul::kQuad, 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + quad * step),
                     _mm_cvtepi8_epi16(_mm_cvtsi32_si128(codes)));
  }
}
inline void pack_words(const int16_t* in, int64_t quads, int64_t step, int16_t* out) {
  for (int64_t quad = 0; quad < quads; ++quad) {
    std::memcpy(out + quad * step, in + quad * qmatmul::kQuad, 8);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
