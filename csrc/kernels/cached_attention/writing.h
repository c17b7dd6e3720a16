#pragma once

// Rows into pages, and pages into smaller ones. Included by ISA sources only.

#include "kernels/attention/softmax_body.h"
#include "kernels/cached_attention/pages.h"

namespace arrowmind::ARROWMIND_ISA {

// Where a token lies in its page.
struct Slot {
  char* part;     // of the head
  int64_t index;  // of the token in the page
};

inline Slot slot_of(const cached_attention::Head& head, int64_t token) {
  return {head.pages[token / head.page_tokens] + head.offset, token % head.page_tokens};
}

// The step between codes of 8 bits for a row, as binary16 holds it.
inline float step_of_row(const float* x, int64_t size, char* stored) {
  F32x16 top = zero();
  for (int64_t d = 0; d < size; d += 16) top = max_magnitude(top, load_lanes(x + d, lanes_left(size, d)));
  alignas(64) uint16_t halves[16];
  store_f16(halves, clamp_f16(set1(reduce_max_magnitude(top) / 127.0f)));
  std::memcpy(stored, halves, 2);
  float step[16];
  store(step, load_f16(halves));
  return step[0];
}

// What 16 elements become before they are stored: themselves, or codes.
template <typename Page>
inline F32x16 stored_form(F32x16 x, float inverse) {
  if constexpr (!Page::kScaled) return x;
  const F32x16 codes = x * set1(inverse);
  // A NaN becomes a code; its step is one.
  const F32x16 clamped = min(max(codes, set1(-127.0f)), set1(127.0f));
  return clamped + set1(kShifter) - set1(kShifter);
}

inline float inverse_of(float step) {
  return step > 0.0f ? 1.0f / step : 0.0f;
}

template <typename Page>
inline void write_row(const cached_attention::Write& p, int64_t token, const float* k, const float* v) {
  constexpr int64_t kElement = Page::kKeyStep / 16;
  const int64_t width = padded_width(p.head_dim);
  const cached_attention::Layout& layout = p.head.layout;
  const Slot slot = slot_of(p.head, token);
  float key_inverse = 1.0f, value_inverse = 1.0f;
  if constexpr (Page::kScaled) {
    key_inverse = inverse_of(step_of_row(k, p.head_dim, slot.part + layout.key_scales + 2 * slot.index));
    value_inverse = inverse_of(step_of_row(v, p.head_dim, slot.part + layout.value_scales + 2 * slot.index));
  }
  char* keys = slot.part + layout.keys + (slot.index / 16 * width * 16 + slot.index % 16) * kElement;
  char* values = slot.part + layout.values + slot.index * Page::kValueStep;
  for (int64_t d = 0; d < width; d += 16) {
    const int64_t count = lanes_left(p.head_dim, d);
    alignas(64) char packed[Page::kKeyStep];
    Page::put16(packed, stored_form<Page>(load_lanes(k + d, count), key_inverse));
    for (int64_t i = 0; i < 16; ++i) {
      std::memcpy(keys + (d + i) * Page::kKeyStep, packed + i * kElement, kElement);
    }
    Page::put16(values + d / 16 * p.head.page_tokens * Page::kValueStep,
                stored_form<Page>(load_lanes(v + d, count), value_inverse));
  }
}

inline void write_token(const cached_attention::Write& p, int64_t token, const float* k, const float* v) {
  using cached_attention::Format;
  if (p.head.layout.format == Format::kF32) return write_row<F32Page>(p, token, k, v);
  if (p.head.layout.format == Format::kF16) return write_row<F16Page>(p, token, k, v);
  write_row<I8Page>(p, token, k, v);
}

inline void write_rows(const cached_attention::Write& p) {
  alignas(64) float turned[2][cached_attention::kMaxTurned];
  for (int64_t row = 0; row < p.count; ++row) {
    const float* k = p.k + row * p.stride;
    const float* v = p.v + row * p.stride;
    if (p.head.signs != nullptr) {
      rotate(k, p.head.signs, p.head_dim, turned[0]);
      rotate(v, p.head.signs, p.head_dim, turned[1]);
      k = turned[0];
      v = turned[1];
    }
    write_token(p, p.first + row, k, v);
  }
}

// --- smaller pages

// 16 tokens: element d of token i at d * 16 + i.
struct Tile {
  float values[cached_attention::kMaxTurned * 16];
  int8_t codes[cached_attention::kMaxTurned * 16];
};

// Shares of the largest magnitude that are tried as the end of the range: what is beyond is clipped, so that
// the steps are finer for the rest. Found by trial on normal numbers: the best for 8 and for 16 steps is
// among them.
constexpr float kShares[] = {1.0f, 0.92f, 0.84f, 0.76f, 0.68f, 0.6f};

// The middles of steps nearest to x, in steps: ..., -0.5, 0.5, 1.5, ...
inline F32x16 middles(F32x16 x, F32x16 inverse, float last) {
  const F32x16 clamped = min(max(x * inverse, set1(-last)), set1(last));
  return clamped - set1(0.5f) + set1(kShifter) - set1(kShifter) + set1(0.5f);
}

inline F32x16 squared_error(const Tile& tile, int64_t size, F32x16 step, float last) {
  const F32x16 inverse = set1(1.0f) / max(step, set1(1e-30f));
  F32x16 total = zero();
  for (int64_t d = 0; d < size; ++d) {
    const F32x16 x = load(tile.values + d * 16);
    const F32x16 error = x - middles(x, inverse, last) * step;
    total = fma(error, error, total);
  }
  return total;
}

// A step per token, of which `last` reaches the end of the range, and codes from 0 up; padded to `width`.
inline void quantise_tile(Tile& tile, int64_t size, int64_t width, float last, char* scales) {
  F32x16 top = zero();
  for (int64_t d = 0; d < size; ++d) top = max(top, abs(load(tile.values + d * 16)));
  alignas(64) float best[16], least[16];
  uint16_t halves[16];
  bool is_first = true;
  for (const float share : kShares) {
    // As binary16 holds it; ends of the range are half a step beyond the last middle.
    store_f16(halves, clamp_f16(top * set1(share / (last + 0.5f))));
    const F32x16 step = load_f16(halves);
    alignas(64) float steps[16], errors[16];
    store(steps, step);
    store(errors, squared_error(tile, size, step, last));
    for (int i = 0; i < 16; ++i) {
      if (!is_first && !(errors[i] < least[i])) continue;
      least[i] = errors[i];
      best[i] = steps[i];
    }
    is_first = false;
  }
  const F32x16 step = load(best);
  store_f16(reinterpret_cast<uint16_t*>(scales), step);
  const F32x16 inverse = set1(1.0f) / max(step, set1(1e-30f));
  for (int64_t d = 0; d < width; ++d) {
    const F32x16 x = d < size ? load(tile.values + d * 16) : zero();
    store_codes(tile.codes + d * 16, middles(x, inverse, last) + set1(last), zero_codes());
  }
}

inline void load_keys(const char* keys, int64_t width, Tile& tile) {
  for (int64_t d = 0; d < width; ++d) store(tile.values + d * 16, F16Page::key16(keys + d * 32));
}

inline void load_values(const char* values, int64_t panel, int64_t width, Tile& tile) {
  for (int64_t d = 0; d < width; d += 16) {
    F32x16 rows[16];
    for (int64_t i = 0; i < 16; ++i) rows[i] = F16Page::value16(values + d / 16 * panel + i * 32);
    transpose(rows);
    for (int64_t i = 0; i < 16; ++i) store(tile.values + (d + i) * 16, rows[i]);
  }
}

template <typename Page>
inline void shrink_page(const cached_attention::Shrink& p) {
  const int64_t width = padded_width(p.head_dim), tokens = p.page_tokens;
  Tile& tile = *static_cast<Tile*>(p.scratch);
  for (int64_t token = 0; token < tokens; token += 16) {
    load_keys(p.from + p.exact.keys + token * width * 2, width, tile);
    quantise_tile(tile, p.head_dim, width, Page::kKeyMiddle, p.to + p.small.key_scales + 2 * token);
    char* keys = p.to + p.small.keys + token / 16 * width * Page::kKeyStep;
    for (int64_t d = 0; d < width; ++d) pack_4_bits(tile.codes + d * 16, keys + d * Page::kKeyStep);

    load_values(p.from + p.exact.values + token * 32, tokens * 32, width, tile);
    quantise_tile(tile, p.head_dim, width, Page::kValueMiddle, p.to + p.small.value_scales + 2 * token);
    for (int64_t d = 0; d < width; d += 16) {
      char* values = p.to + p.small.values + (d / 16 * tokens + token) * Page::kValueStep;
      for (int64_t i = 0; i < 16; ++i) {
        int8_t codes[16];
        for (int64_t j = 0; j < 16; ++j) codes[j] = tile.codes[(d + j) * 16 + i];
        Page::pack_values(codes, values + i * Page::kValueStep);
      }
    }
  }
}

// What the codes stand for, as binary16.
template <typename Page>
inline void expand_page(const cached_attention::Shrink& p) {
  const int64_t width = padded_width(p.head_dim), tokens = p.page_tokens;
  for (int64_t token = 0; token < tokens; token += 16) {
    const F32x16 steps = load_scales(p.to + p.small.key_scales, token);
    for (int64_t d = 0; d < width; ++d) {
      const char* codes = p.to + p.small.keys + (token / 16 * width + d) * Page::kKeyStep;
      F16Page::put16(p.from + p.exact.keys + (token * width + d * 16) * 2,
                     d < p.head_dim ? Page::key16(codes) * steps : zero());
    }
    alignas(64) float value_steps[16];
    store(value_steps, load_scales(p.to + p.small.value_scales, token));
    for (int64_t d = 0; d < width; d += 16) {
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t place = d / 16 * tokens + token + i;
        const F32x16 values = Page::value16(p.to + p.small.values + place * Page::kValueStep);
        F16Page::put16(p.from + p.exact.values + place * 32,
                       select_first(values * set1(value_steps[i]), zero(), lanes_left(p.head_dim, d)));
      }
    }
  }
}

inline void shrink_pages(const cached_attention::Shrink& p) {
  if (p.small.format == cached_attention::Format::kK4V4) return shrink_page<K4V4Page>(p);
  shrink_page<K4V3Page>(p);
}

inline void expand_pages(const cached_attention::Shrink& p) {
  if (p.small.format == cached_attention::Format::kK4V4) return expand_page<K4V4Page>(p);
  expand_page<K4V3Page>(p);
}

}  // namespace arrowmind::ARROWMIND_ISA
