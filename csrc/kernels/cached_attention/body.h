#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.
//
// A block of queries is packed as kernels/attention/attention_body.h packs them, and its sums run in the same
// order: over the dimensions for a score, over the tokens for a value.

#include "kernels/attention/softmax_body.h"
#include "kernels/cached_attention/cached_attention.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// What a format's 16 elements beside each other are, in keys and values alike.
struct F32Page {
  static constexpr int64_t kStep = 64;  // bytes of 16 elements
  static F32x16 load16(const char* p) { return load(reinterpret_cast<const float*>(p)); }
};

struct F16Page {
  static constexpr int64_t kStep = 32;
  static F32x16 load16(const char* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }
};

// --- writing

inline void store_lanes(const F32Page*, char* base, F32x16 lanes) {
  store(reinterpret_cast<float*>(base), lanes);
}

// The largest of binary16; a NaN stays one.
inline F32x16 clamp_f16(F32x16 x) {
  return min(set1(65504.0f), max(set1(-65504.0f), x));
}

inline void store_lanes(const F16Page*, char* base, F32x16 lanes) {
  store_f16(reinterpret_cast<uint16_t*>(base), clamp_f16(lanes));
}

template <typename Page>
inline void write_row(const cached_attention::Write& p, int64_t row) {
  constexpr const Page* kPage = nullptr;
  constexpr int64_t kElement = Page::kStep / 16;
  const int64_t width = (p.head_dim + 15) / 16 * 16;
  const int64_t token = p.first + row;
  const int64_t slot = token % p.head.page_tokens;
  char* part = p.head.pages[token / p.head.page_tokens] + p.head.offset;
  char* keys = part + p.head.layout.keys + (slot / 16 * width * 16 + slot % 16) * kElement;
  char* values = part + p.head.layout.values + slot * Page::kStep;
  for (int64_t d = 0; d < width; d += 16) {
    const int64_t count = lanes_left(p.head_dim, d);
    alignas(64) char packed[Page::kStep];
    store_lanes(kPage, packed, load_lanes(p.k + row * p.stride + d, count));
    for (int64_t i = 0; i < 16; ++i) {
      std::memcpy(keys + (d + i) * Page::kStep, packed + i * kElement, kElement);
    }
    store_lanes(kPage, values + d / 16 * p.head.page_tokens * Page::kStep,
                load_lanes(p.v + row * p.stride + d, count));
  }
}

inline void write_rows(const cached_attention::Write& p) {
  for (int64_t row = 0; row < p.count; ++row) {
    if (p.head.layout.format == cached_attention::Format::kF32) {
      write_row<F32Page>(p, row);
    } else {
      write_row<F16Page>(p, row);
    }
  }
}

// --- reading

// A block of queries: which tokens each sees, and where its panels begin.
template <int kRows>
struct Block {
  Keys keys[kRows];  // of the sequence
  int64_t base;      // the first panel's first token
  float *queries, *scores;
};

template <int kRows>
inline Block<kRows> block_of(const cached_attention::Attend& p, int64_t first) {
  Block<kRows> block;
  for (int r = 0; r < kRows; ++r) {
    const int64_t last = p.cached + (first + r) / p.group + 1;
    block.keys[r] = {p.window > 0 && last > p.window ? last - p.window : 0, last};
  }
  block.base = block.keys[0].first / 16 * 16;
  block.queries = static_cast<float*>(p.scratch);
  block.scores = block.queries + cached_attention::kMaxBlock * ((p.head_dim + 15) / 16 * 16);
  return block;
}

template <int kRows>
inline void pack_cached_queries(const cached_attention::Attend& p, int64_t first, float* packed) {
  const F32x16 scale = set1(p.scale * 1.44269504088896341f);
  for (int64_t d = 0; d < p.head_dim; d += 16) {
    const int64_t count = lanes_left(p.head_dim, d);
    for (int r = 0; r < kRows; ++r, packed += 16) {
      const int64_t i = first + r;
      const float* query = p.q + i / p.group * p.q_stride + i % p.group * p.head_dim;
      store(packed, load_lanes(query + d, count) * scale);
    }
  }
}

// Scores of kPanels panels of 16 tokens each.
template <typename Page, int kRows, int kPanels>
inline void score_cached(const float* queries, const char* const (&keys)[kPanels], int64_t head_dim,
                         float* scores) {
  F32x16 acc[kRows][kPanels];
  for (auto& row : acc) {
    for (F32x16& lanes : row) lanes = zero();
  }
  const auto step = [&](const float* elements, int64_t d) {
    F32x16 column[kPanels];
    for (int j = 0; j < kPanels; ++j) column[j] = keep(Page::load16(keys[j] + d * Page::kStep));
    for (int r = 0; r < kRows; ++r) {
      const F32x16 element = set1(elements[r * 16]);
      for (int j = 0; j < kPanels; ++j) acc[r][j] = fma(element, column[j], acc[r][j]);
    }
  };
  int64_t d = 0;
  for (; d + 16 <= head_dim; d += 16, queries += kRows * 16) {
    for (int64_t k = 0; k < 16; ++k) step(queries + k, d + k);
  }
  for (int64_t k = 0; d + k < head_dim; ++k) step(queries + k, d + k);
  for (int j = 0; j < kPanels; ++j) {
    for (int r = 0; r < kRows; ++r) store(scores + (j * kRows + r) * 16, acc[r][j]);
  }
}

// The keys of the 16 tokens from `token` on.
template <typename Page>
inline const char* key_panel(const cached_attention::Head& head, int64_t token, int64_t width) {
  const char* page = head.pages[token / head.page_tokens] + head.offset + head.layout.keys;
  return page + token % head.page_tokens * width * (Page::kStep / 16);
}

// Scores of the tokens [first, last), in groups of panels.
template <typename Page, int kRows, int kPanels>
inline void score_tokens(const cached_attention::Attend& p, const Block<kRows>& block, int64_t first,
                         int64_t last) {
  const int64_t width = (p.head_dim + 15) / 16 * 16;
  int64_t token = first;
  for (; token + 16 * (kPanels - 1) < last; token += 16 * kPanels) {
    const char* keys[kPanels];
    for (int j = 0; j < kPanels; ++j) keys[j] = key_panel<Page>(p.head, token + 16 * j, width);
    score_cached<Page, kRows, kPanels>(block.queries, keys, p.head_dim,
                                       block.scores + (token - block.base) * kRows);
  }
  for (; token < last; token += 16) {
    const char* keys[1] = {key_panel<Page>(p.head, token, width)};
    score_cached<Page, kRows, 1>(block.queries, keys, p.head_dim,
                                 block.scores + (token - block.base) * kRows);
  }
}

// Adds the values of `tokens` of a page, counted from its first, which is `shift` behind the first score; for
// kCount rows.
template <typename Page, int kRows, int kCount, int kPanels>
inline void add_values(const float* scores, int64_t shift, const char* values, int64_t panel, Keys tokens,
                       float* state) {
  F32x16 acc[kCount][kPanels];
  for (int r = 0; r < kCount; ++r) {
    for (int j = 0; j < kPanels; ++j) acc[r][j] = load(state + (r * kPanels + j) * 16);
  }
  for (int64_t i = tokens.first; i < tokens.last; ++i) {
    const float* elements = scores + (shift + i / 16 * 16) * kRows + i % 16;
    F32x16 column[kPanels];
    for (int j = 0; j < kPanels; ++j) column[j] = keep(Page::load16(values + j * panel + i * Page::kStep));
    for (int r = 0; r < kCount; ++r) {
      const F32x16 element = set1(elements[r * 16]);
      for (int j = 0; j < kPanels; ++j) acc[r][j] = fma(element, column[j], acc[r][j]);
    }
  }
  for (int r = 0; r < kCount; ++r) {
    for (int j = 0; j < kPanels; ++j) store(state + (r * kPanels + j) * 16, acc[r][j]);
  }
}

// The part of `keys` in the page from `begin` on, counted from there.
inline Keys keys_in_page(Keys keys, int64_t begin, int64_t size) {
  const int64_t first = keys.first - begin, last = keys.last - begin;
  return {first < 0 ? 0 : first > size ? size : first, last < 0 ? 0 : last > size ? size : last};
}

// Values of one page: the tokens that all rows see together, those before and after them row by row.
template <typename Page, int kRows, int kPanels>
inline void mix_page(const Block<kRows>& block, int64_t begin, int64_t size, const char* values,
                     int64_t panel, float* state) {
  const int64_t shift = begin - block.base;  // negative where the first panel is not the page's first
  Keys keys[kRows];
  for (int r = 0; r < kRows; ++r) keys[r] = keys_in_page(block.keys[r], begin, size);
  Keys shared = {keys[kRows - 1].first, keys[0].last};
  if (shared.first > shared.last) shared.first = shared.last;
  for (int r = 0; r < kRows && keys[r].first < shared.first; ++r) {
    add_values<Page, kRows, 1, kPanels>(block.scores + r * 16, shift, values, panel,
                                        {keys[r].first, shared.first}, state + r * kPanels * 16);
  }
  add_values<Page, kRows, kRows, kPanels>(block.scores, shift, values, panel, shared, state);
  for (int r = 0; r < kRows; ++r) {
    const int64_t first = keys[r].first > shared.last ? keys[r].first : shared.last;
    if (first >= keys[r].last) continue;
    add_values<Page, kRows, 1, kPanels>(block.scores + r * 16, shift, values, panel, {first, keys[r].last},
                                        state + r * kPanels * 16);
  }
}

// Output columns [d, d + 16 * kPanels) of the block.
template <typename Page, int kRows, int kPanels>
inline void mix_columns(const cached_attention::Attend& p, const Block<kRows>& block, int64_t first,
                        int64_t d, const float* inverse) {
  alignas(64) float state[kRows * kPanels * 16] = {};
  const int64_t size = p.head.page_tokens;
  const int64_t panel = size * Page::kStep;
  for (int64_t page = block.keys[0].first / size; page * size < block.keys[kRows - 1].last; ++page) {
    const char* values = p.head.pages[page] + p.head.offset + p.head.layout.values + d / 16 * panel;
    mix_page<Page, kRows, kPanels>(block, page * size, size, values, panel, state);
  }
  for (int r = 0; r < kRows; ++r) {
    const int64_t i = first + r;
    float* out = p.out + i / p.group * p.out_stride + i % p.group * p.head_dim;
    for (int j = 0; j < kPanels; ++j) {
      const int64_t column = d + 16 * j;
      store_part(out + column, load(state + (r * kPanels + j) * 16) * set1(inverse[r]),
                 lanes_left(p.head_dim, column));
    }
  }
}

template <typename Page, int kRows, int kPanels>
inline void attend_cached_block(const cached_attention::Attend& p, int64_t first) {
  const Block<kRows> block = block_of<kRows>(p, first);
  pack_cached_queries<kRows>(p, first, block.queries);
  const int64_t last = block.keys[kRows - 1].last;
  score_tokens<Page, kRows, kPanels>(p, block, block.base, last);
  if (p.cap > 0) {
    for (int64_t token = block.base; token < last; token += 16) {
      cap_scores<kRows>(block.scores + (token - block.base) * kRows, p.cap);
    }
  }
  Keys keys[kRows];
  for (int r = 0; r < kRows; ++r) {
    keys[r] = {block.keys[r].first - block.base, block.keys[r].last - block.base};
  }
  float inverse[kRows];
  softmax<kRows>(block.scores, keys, inverse);
  int64_t d = 0;
  for (; d + 16 * (kPanels - 1) < p.head_dim; d += 16 * kPanels) {
    mix_columns<Page, kRows, kPanels>(p, block, first, d, inverse);
  }
  for (; d < p.head_dim; d += 16) mix_columns<Page, kRows, 1>(p, block, first, d, inverse);
}

// Panels beside each other, so that sums of few rows do not wait for each other: `budget` accumulators.
constexpr int panels_for(int rows, int budget) {
  return budget >= 4 * rows ? 4 : budget >= 2 * rows ? 2 : 1;
}

template <int kRows, int kBudget>
inline void attend_cached_rows(const cached_attention::Attend& p, int64_t first) {
  constexpr int kPanels = panels_for(kRows, kBudget);
  if (p.head.layout.format == cached_attention::Format::kF32) {
    attend_cached_block<F32Page, kRows, kPanels>(p, first);
  } else {
    attend_cached_block<F16Page, kRows, kPanels>(p, first);
  }
}

// The queries behind the last whole block: as many as are left, kRows - 1 or fewer.
template <int kRows, int kBudget>
inline void attend_cached_rest(const cached_attention::Attend& p, int64_t first) {
  if constexpr (kRows > 1) {
    if (p.end - first < kRows) return attend_cached_rest<kRows - 1, kBudget>(p, first);
  }
  attend_cached_rows<kRows, kBudget>(p, first);
}

template <int kRows, int kBudget>
inline void attend_cached(const cached_attention::Attend& p) {
  static_assert(kRows <= cached_attention::kMaxBlock);
  int64_t first = p.begin;
  for (; first + kRows <= p.end; first += kRows) attend_cached_rows<kRows, kBudget>(p, first);
  if (first < p.end) attend_cached_rest<kRows, kBudget>(p, first);
}

}  // namespace arrowmind::ARROWMIND_ISA
