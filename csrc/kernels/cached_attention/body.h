#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.
//
// A block of queries is packed as kernels/attention/attention_body.h packs them, and its sums run in the same
// order: over the dimensions for a score, over the tokens for a value.

#include "kernels/attention/softmax_body.h"
#include "kernels/cached_attention/pages.h"

namespace arrowmind::ARROWMIND_ISA {

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
  block.scores = block.queries + cached_attention::kMaxBlock * (padded_width(p.head_dim));
  return block;
}

template <int kRows>
inline void pack_cached_queries(const cached_attention::Attend& p, int64_t first, float* packed) {
  const F32x16 scale = set1(p.scale * 1.44269504088896341f);
  alignas(64) float turned[cached_attention::kMaxTurned];
  for (int r = 0; r < kRows; ++r) {
    const int64_t i = first + r;
    const float* query = p.q + i / p.group * p.q_stride + i % p.group * p.head_dim;
    if (p.head.signs != nullptr) {
      rotate(query, p.head.signs, p.head_dim, turned);
      query = turned;
    }
    for (int64_t d = 0; d < p.head_dim; d += 16) {
      store(packed + (d * kRows + r * 16), load_lanes(query + d, lanes_left(p.head_dim, d)) * scale);
    }
  }
}

// Keys of 16 tokens, and their scales.
struct KeyPanel {
  const char *keys, *scales;
};

// Scores of kPanels panels of 16 tokens each.
template <typename Page, int kRows, int kPanels>
inline void score_cached(const float* queries, const KeyPanel (&panels)[kPanels], int64_t head_dim,
                         float* scores) {
  F32x16 acc[kRows][kPanels];
  for (auto& row : acc) {
    for (F32x16& lanes : row) lanes = zero();
  }
  const auto step = [&](const float* elements, int64_t d) {
    F32x16 column[kPanels];
    for (int j = 0; j < kPanels; ++j) column[j] = keep(Page::key16(panels[j].keys + d * Page::kKeyStep));
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
    if constexpr (Page::kScaled) {
      const F32x16 scale = load_scales(panels[j].scales, 0);
      for (int r = 0; r < kRows; ++r) acc[r][j] = acc[r][j] * scale;
    }
    for (int r = 0; r < kRows; ++r) store(scores + (j * kRows + r) * 16, acc[r][j]);
  }
}

// The keys of the 16 tokens from `token` on.
template <typename Page>
inline KeyPanel key_panel(const cached_attention::Head& head, int64_t token, int64_t width) {
  const char* part = head.pages[token / head.page_tokens] + head.offset;
  const int64_t slot = token % head.page_tokens;
  return {part + head.layout.keys + slot / 16 * width * Page::kKeyStep,
          part + head.layout.key_scales + 2 * slot};
}

// Scores of the tokens [first, last), in groups of panels.
template <typename Page, int kRows, int kPanels>
inline void score_tokens(const cached_attention::Attend& p, const cached_attention::Head& head,
                         const Block<kRows>& block, int64_t first, int64_t last) {
  const int64_t width = padded_width(p.head_dim);
  int64_t token = first;
  for (; token + 16 * (kPanels - 1) < last; token += 16 * kPanels) {
    KeyPanel panels[kPanels];
    for (int j = 0; j < kPanels; ++j) panels[j] = key_panel<Page>(head, token + 16 * j, width);
    score_cached<Page, kRows, kPanels>(block.queries, panels, p.head_dim,
                                       block.scores + (token - block.base) * kRows);
  }
  for (; token < last; token += 16) {
    const KeyPanel panels[1] = {key_panel<Page>(head, token, width)};
    score_cached<Page, kRows, 1>(block.queries, panels, p.head_dim,
                                 block.scores + (token - block.base) * kRows);
  }
}

// Tokens of a block that lie in pages of one format.
struct Stretch {
  const cached_attention::Head* head;
  int64_t first, last;
};

// At most three: before the small pages, those, and behind them.
inline int stretches_of(const cached_attention::Attend& p, int64_t first, int64_t last, Stretch* found) {
  const auto within = [&](int64_t token) { return token < first ? first : token > last ? last : token; };
  const int64_t begin = within(p.small_begin), end = within(p.small_end);
  int count = 0;
  if (begin >= end) {
    found[count++] = {&p.head, first, last};
    return count;
  }
  if (first < begin) found[count++] = {&p.head, first, begin};
  found[count++] = {&p.small, begin, end};
  if (end < last) found[count++] = {&p.head, end, last};
  return count;
}

// What the exponentials of a stretch are multiplied by before they meet its values.
template <int kRows>
inline void scale_weights(const Stretch& stretch, const Block<kRows>& block) {
  const cached_attention::Head& head = *stretch.head;
  for (int64_t token = stretch.first; token < stretch.last; token += 16) {
    const char* part = head.pages[token / head.page_tokens] + head.offset;
    const F32x16 scale = load_scales(part + head.layout.value_scales, token % head.page_tokens);
    float* weights = block.scores + (token - block.base) * kRows;
    for (int r = 0; r < kRows; ++r) store(weights + r * 16, load(weights + r * 16) * scale);
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
    for (int j = 0; j < kPanels; ++j)
      column[j] = keep(Page::value16(values + j * panel + i * Page::kValueStep));
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
template <int kRows, int kPanels>
inline void mix_columns(const cached_attention::Attend& p, const Block<kRows>& block,
                        const Stretch* stretches, int count, int64_t first, int64_t d, const float* inverse) {
  alignas(64) float state[kRows * kPanels * 16] = {};
  const int64_t size = p.head.page_tokens;
  for (int s = 0; s < count; ++s) {
    const cached_attention::Head& head = *stretches[s].head;
    with_page(head.layout.format, [&](auto type) {
      using Page = decltype(type);
      const int64_t panel = size * Page::kValueStep;
      for (int64_t page = stretches[s].first / size; page * size < stretches[s].last; ++page) {
        const char* values = head.pages[page] + head.offset + head.layout.values + d / 16 * panel;
        mix_page<Page, kRows, kPanels>(block, page * size, size, values, panel, state);
      }
    });
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

template <int kRows>
inline void softmax_block(const cached_attention::Attend& p, const Block<kRows>& block, int64_t last,
                          float* inverse) {
  if (p.cap > 0) {
    for (int64_t token = block.base; token < last; token += 16) {
      cap_scores<kRows>(block.scores + (token - block.base) * kRows, p.cap);
    }
  }
  Keys keys[kRows];
  for (int r = 0; r < kRows; ++r) {
    keys[r] = {block.keys[r].first - block.base, block.keys[r].last - block.base};
  }
  softmax<kRows>(block.scores, keys, inverse);
}

template <int kRows, int kPanels>
inline void attend_cached_block(const cached_attention::Attend& p, int64_t first) {
  const Block<kRows> block = block_of<kRows>(p, first);
  pack_cached_queries<kRows>(p, first, block.queries);
  const int64_t last = block.keys[kRows - 1].last;
  Stretch stretches[3];
  const int count = stretches_of(p, block.base, last, stretches);
  for (int s = 0; s < count; ++s) {
    with_page(stretches[s].head->layout.format, [&](auto type) {
      score_tokens<decltype(type), kRows, kPanels>(p, *stretches[s].head, block, stretches[s].first,
                                                   stretches[s].last);
    });
  }
  float inverse[kRows];
  softmax_block<kRows>(p, block, last, inverse);
  for (int s = 0; s < count; ++s) {
    if (stretches[s].head->layout.value_scales > stretches[s].head->layout.key_scales) {
      scale_weights<kRows>(stretches[s], block);
    }
  }
  int64_t d = 0;
  for (; d + 16 * (kPanels - 1) < p.head_dim; d += 16 * kPanels) {
    mix_columns<kRows, kPanels>(p, block, stretches, count, first, d, inverse);
  }
  for (; d < p.head_dim; d += 16) mix_columns<kRows, 1>(p, block, stretches, count, first, d, inverse);
  if (p.head.signs == nullptr) return;
  for (int64_t i = first; i < first + kRows; ++i) {
    rotate_back(p.out + i / p.group * p.out_stride + i % p.group * p.head_dim, p.head.signs, p.head_dim);
  }
}

// Panels beside each other, so that sums of few rows do not wait for each other: `budget` accumulators.
constexpr int panels_for(int rows, int budget) {
  return budget >= 4 * rows ? 4 : budget >= 2 * rows ? 2 : 1;
}

// The queries behind the last whole block: as many as are left, kRows - 1 or fewer.
template <int kRows, int kBudget>
inline void attend_cached_rest(const cached_attention::Attend& p, int64_t first) {
  if constexpr (kRows > 1) {
    if (p.end - first < kRows) return attend_cached_rest<kRows - 1, kBudget>(p, first);
  }
  attend_cached_block<kRows, panels_for(kRows, kBudget)>(p, first);
}

template <int kRows, int kBudget>
inline void attend_cached(const cached_attention::Attend& p) {
  static_assert(kRows <= cached_attention::kMaxBlock);
  int64_t first = p.begin;
  for (; first + kRows <= p.end; first += kRows) {
    attend_cached_block<kRows, panels_for(kRows, kBudget)>(p, first);
  }
  if (first < p.end) attend_cached_rest<kRows, kBudget>(p, first);
}

}  // namespace arrowmind::ARROWMIND_ISA
