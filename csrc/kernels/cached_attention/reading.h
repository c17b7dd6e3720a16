#pragma once

// Pages back into rows. Included by ISA sources only.

#include "kernels/attention/softmax_body.h"
#include "kernels/cached_attention/pages.h"

namespace arrowmind::ARROWMIND_ISA {

template <typename Page>
inline void read_keys(const cached_attention::Read& p, const char* part, int64_t slot, float* out) {
  const int64_t width = padded_width(p.head_dim);
  const char* keys = part + p.head.layout.keys + slot / 16 * width * Page::kKeyStep;
  for (int64_t d = 0; d < p.head_dim; ++d) {
    F32x16 column = Page::key16(keys + d * Page::kKeyStep);
    if constexpr (Page::kScaled) column = column * load_scales(part + p.head.layout.key_scales, slot);
    alignas(64) float lanes[16];
    store(lanes, column);
    for (int64_t i = 0; i < 16; ++i) out[i * p.stride + d] = lanes[i];
  }
}

template <typename Page>
inline void read_values(const cached_attention::Read& p, const char* part, int64_t slot, float* out) {
  alignas(64) float scales[16];
  if constexpr (Page::kScaled) store(scales, load_scales(part + p.head.layout.value_scales, slot));
  const char* values = part + p.head.layout.values;
  for (int64_t d = 0; d < p.head_dim; d += 16) {
    for (int64_t i = 0; i < 16; ++i) {
      F32x16 row = Page::value16(values + (d / 16 * p.head.page_tokens + slot + i) * Page::kValueStep);
      if constexpr (Page::kScaled) row = row * set1(scales[i]);
      store_part(out + i * p.stride + d, row, lanes_left(p.head_dim, d));
    }
  }
}

inline void read_rows(const cached_attention::Read& p) {
  with_page(p.head.layout.format, [&](auto type) {
    using Page = decltype(type);
    for (int64_t row = 0; row < p.count; row += 16) {
      const int64_t token = p.first + row;
      const char* part = p.head.pages[token / p.head.page_tokens] + p.head.offset;
      const int64_t slot = token % p.head.page_tokens;
      if (p.k != nullptr) read_keys<Page>(p, part, slot, p.k + row * p.stride);
      if (p.v != nullptr) read_values<Page>(p, part, slot, p.v + row * p.stride);
    }
  });
  if (p.head.signs == nullptr) return;
  for (int64_t row = 0; row < p.count; ++row) {
    if (p.k != nullptr) rotate_back(p.k + row * p.stride, p.head.signs, p.head_dim);
    if (p.v != nullptr) rotate_back(p.v + row * p.stride, p.head.signs, p.head_dim);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
