#pragma once

// Keys of a page to other positions. Included by ISA sources only.

#include "kernels/cached_attention/pages.h"

namespace arrowmind::ARROWMIND_ISA {

// Elements of 16 tokens lie side by side, so that one pair of all tokens is two vectors.
template <typename Page>
inline void turn_keys(const cached_attention::Turn& p) {
  const int64_t panel = padded_width(p.head_dim) * Page::kKeyStep;
  const int64_t step = p.interleaved ? 2 : 1, apart = p.interleaved ? 1 : p.pairs;
  for (int64_t token = 0; token < p.page_tokens; token += 16) {
    char* keys = p.keys + token / 16 * panel + p.first * Page::kKeyStep;
    for (int64_t i = 0; i < p.pairs; ++i) {
      char* low = keys + i * step * Page::kKeyStep;
      char* high = low + apart * Page::kKeyStep;
      const F32x16 a = Page::key16(low), b = Page::key16(high);
      const F32x16 c = set1(p.cosines[i]), s = set1(p.sines[i]);
      Page::put16(low, a * c - b * s);
      Page::put16(high, b * c + a * s);
    }
  }
}

inline void turn_page(const cached_attention::Turn& p) {
  p.format == cached_attention::Format::kF32 ? turn_keys<F32Page>(p) : turn_keys<F16Page>(p);
}

}  // namespace arrowmind::ARROWMIND_ISA
