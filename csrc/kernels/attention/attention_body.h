#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.
//
// One item (a head of a sequence) is packed so that both products are the same small matrix product:
//   keys     [length / 16][head_dim][16]    transposed: 16 scores side by side; head_dim padded to 16
//   values   [head_dim / 16][length][16]
//   queries  [head_dim / 16][block][16]     a block of query rows, scaled by scale * log2 e
//   scores   [length / 16][block][16]       then their exponentials
// In the last two a row's element is one load with a constant offset, broadcast to all lanes.

#include "kernels/attention/attention.h"
#include "kernels/attention/softmax_body.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

struct AttentionItem {
  const float *q, *k, *v;  // first row and column of this head
  float* out;
  int64_t stride, out_stride, length, head_dim;
  int64_t window;  // keys of a row at most; causal only
  bool causal;
  float scale, cap;
  float *keys, *values, *queries, *scores;
};

inline Keys keys_of(const AttentionItem& item, int64_t row) {
  if (!item.causal) return {0, item.length};
  return {row + 1 > item.window ? row + 1 - item.window : 0, row + 1};
}

// Dimensions behind the last are zero, and so are keys.
inline void pack_keys(const AttentionItem& item) {
  float* packed = item.keys;
  for (int64_t j = 0; j < item.length; j += 16) {
    const int64_t count = lanes_left(item.length, j);
    for (int64_t d = 0; d < item.head_dim; d += 16, packed += 16 * 16) {
      const float* source = item.k + j * item.stride + d;
      const int64_t depth = lanes_left(item.head_dim, d);
      F32x16 tile[16];
      if (count == 16 && depth == 16) {
        for (int64_t i = 0; i < 16; ++i) tile[i] = load(source + i * item.stride);
      } else {
        for (int64_t i = 0; i < 16; ++i) {
          tile[i] = i < count ? load_part(source + i * item.stride, depth) : zero();
        }
      }
      transpose(tile);
      for (int64_t i = 0; i < 16; ++i) store(packed + 16 * i, tile[i]);
    }
  }
}

inline void pack_values(const AttentionItem& item) {
  float* packed = item.values;
  for (int64_t d = 0; d < item.head_dim; d += 16) {
    const int64_t count = lanes_left(item.head_dim, d);
    for (int64_t j = 0; j < item.length; ++j, packed += 16) {
      store(packed, load_lanes(item.v + j * item.stride + d, count));
    }
  }
}

template <int kRows>
inline void pack_queries(const AttentionItem& item, int64_t row) {
  const F32x16 scale = set1(item.scale * 1.44269504088896341f);
  float* packed = item.queries;
  for (int64_t d = 0; d < item.head_dim; d += 16) {
    const int64_t count = lanes_left(item.head_dim, d);
    for (int r = 0; r < kRows; ++r, packed += 16) {
      store(packed, load_lanes(item.q + (row + r) * item.stride + d, count) * scale);
    }
  }
}

// acc[r][j] += sum_i a[i][r] * b[j][i] over i in [begin, end), a in groups of 16 steps as above, b in panels
// of 16 columns.
template <int kRows, int kPanels>
inline void add_products(const float* a, const float* b, int64_t panel, int64_t begin, int64_t end,
                         F32x16 (&acc)[kRows][kPanels]) {
  const auto step = [&](const float* elements, const float* columns) {
    F32x16 column[kPanels];
    for (int j = 0; j < kPanels; ++j) column[j] = keep(load(columns + j * panel));
    for (int r = 0; r < kRows; ++r) {
      const F32x16 element = set1(elements[r * 16]);
      for (int j = 0; j < kPanels; ++j) acc[r][j] = fma(element, column[j], acc[r][j]);
    }
  };
  int64_t i = begin;
  for (; i < end && i % 16 != 0; ++i) step(a + i / 16 * kRows * 16 + i % 16, b + i * 16);
  const float* group = a + i / 16 * kRows * 16;
  const float* columns = b + i * 16;
  for (; i + 16 <= end; i += 16, group += kRows * 16, columns += 16 * 16) {
    for (int64_t k = 0; k < 16; ++k) step(group + k, columns + k * 16);
  }
  for (int64_t k = 0; i < end; ++i, ++k) step(group + k, columns + k * 16);
}

template <int kRows, int kPanels>
inline void multiply(const float* a, const float* b, int64_t panel, int64_t depth,
                     F32x16 (&acc)[kRows][kPanels]) {
  for (auto& row : acc) {
    for (F32x16& lanes : row) lanes = zero();
  }
  add_products<kRows, kPanels>(a, b, panel, 0, depth, acc);
}

template <int kRows, int kPanels>
inline void score_panels(const AttentionItem& item, int64_t panel) {
  F32x16 acc[kRows][kPanels];
  const int64_t size = (item.head_dim + 15) / 16 * 16 * 16;
  multiply<kRows, kPanels>(item.queries, item.keys + panel * size, size, item.head_dim, acc);
  for (int j = 0; j < kPanels; ++j) {
    for (int r = 0; r < kRows; ++r) store(item.scores + ((panel + j) * kRows + r) * 16, acc[r][j]);
  }
}

template <int kPanels>
inline void store_row(const AttentionItem& item, int64_t row, int64_t d, float inverse,
                      const F32x16 (&acc)[kPanels]) {
  for (int j = 0; j < kPanels; ++j) {
    const int64_t column = d + 16 * j;
    store_part(item.out + row * item.out_stride + column, acc[j] * set1(inverse),
               lanes_left(item.head_dim, column));
  }
}

template <int kRows, int kPanels>
inline void mix_values(const AttentionItem& item, int64_t row, int64_t d, const float* inverse) {
  F32x16 acc[kRows][kPanels];
  const int64_t size = item.length * 16;
  multiply<kRows, kPanels>(item.scores, item.values + d / 16 * size, size, item.length, acc);
  for (int r = 0; r < kRows; ++r) store_row(item, row + r, d, inverse[r], acc[r]);
}

// Values of the keys [begin, end) of row r alone, added to what `state` [kPanels][16] holds.
template <int kRows, int kPanels>
inline void add_row_values(const AttentionItem& item, int r, int64_t d, Keys keys, float* state) {
  const int64_t size = item.length * 16;
  const float* values = item.values + d / 16 * size;
  F32x16 acc[kPanels];
  for (int j = 0; j < kPanels; ++j) acc[j] = load(state + j * 16);
  for (int64_t i = keys.first; i < keys.last; ++i) {
    const F32x16 element = set1(item.scores[(i / 16 * kRows + r) * 16 + i % 16]);
    for (int j = 0; j < kPanels; ++j) acc[j] = fma(element, load(values + j * size + i * 16), acc[j]);
  }
  for (int j = 0; j < kPanels; ++j) store(state + j * 16, acc[j]);
}

// The same where rows have keys of their own: before those that all rows share, and after them.
template <int kRows, int kPanels>
inline void mix_own_values(const AttentionItem& item, int64_t row, int64_t d, const Keys* keys,
                           const float* inverse) {
  alignas(64) float state[kRows][kPanels * 16] = {};
  const int64_t size = item.length * 16;
  Keys shared = {keys[kRows - 1].first, keys[0].last};
  if (shared.first > shared.last) shared.first = shared.last;
  for (int r = 0; r < kRows && keys[r].first < shared.first; ++r) {
    add_row_values<kRows, kPanels>(item, r, d, {keys[r].first, shared.first}, state[r]);
  }
  F32x16 acc[kRows][kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kPanels; ++j) acc[r][j] = load(state[r] + j * 16);
  }
  add_products<kRows, kPanels>(item.scores, item.values + d / 16 * size, size, shared.first, shared.last,
                               acc);
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kPanels; ++j) store(state[r] + j * 16, acc[r][j]);
  }
  for (int r = 0; r < kRows; ++r) {
    const int64_t first = keys[r].first > shared.last ? keys[r].first : shared.last;
    add_row_values<kRows, kPanels>(item, r, d, {first, keys[r].last}, state[r]);
    F32x16 mixed[kPanels];
    for (int j = 0; j < kPanels; ++j) mixed[j] = load(state[r] + j * 16);
    store_row(item, row + r, d, inverse[r], mixed);
  }
}

template <int kRows, int kPanels>
inline void mix(const AttentionItem& item, int64_t row, int64_t d, const Keys* keys, const float* inverse) {
  if (item.causal) return mix_own_values<kRows, kPanels>(item, row, d, keys, inverse);
  mix_values<kRows, kPanels>(item, row, d, inverse);
}

template <int kRows, int kPanels>
inline void attend_block(const AttentionItem& item, int64_t row) {
  pack_queries<kRows>(item, row);
  Keys keys[kRows];
  for (int r = 0; r < kRows; ++r) keys[r] = keys_of(item, row + r);
  const int64_t first = keys[0].first / 16;
  const int64_t panels = (keys[kRows - 1].last + 15) / 16;
  int64_t panel = first;
  for (; panel + kPanels <= panels; panel += kPanels) score_panels<kRows, kPanels>(item, panel);
  for (; panel < panels; ++panel) score_panels<kRows, 1>(item, panel);
  if (item.cap > 0) {
    for (panel = first; panel < panels; ++panel)
      cap_scores<kRows>(item.scores + panel * kRows * 16, item.cap);
  }
  float inverse[kRows];
  softmax<kRows>(item.scores, keys, inverse);
  int64_t d = 0;
  for (; d + 16 * (kPanels - 1) < item.head_dim; d += 16 * kPanels) {
    mix<kRows, kPanels>(item, row, d, keys, inverse);
  }
  for (; d < item.head_dim; d += 16) mix<kRows, 1>(item, row, d, keys, inverse);
}

// The rows behind the last whole block: as many as are left, kRows - 1 or fewer.
template <int kRows, int kPanels>
inline void attend_rest(const AttentionItem& item, int64_t row) {
  if constexpr (kRows > 1) {
    if (item.length - row < kRows) return attend_rest<kRows - 1, kPanels>(item, row);
  }
  attend_block<kRows, kPanels>(item, row);
}

template <int kRows, int kPanels>
inline void attend_queries(const AttentionItem& item) {
  int64_t row = 0;
  for (; row + kRows <= item.length; row += kRows) attend_block<kRows, kPanels>(item, row);
  if (row < item.length) attend_rest<kRows, kPanels>(item, row);
}

template <int kRows, int kPanels>
inline void attend(const attention::Params& p) {
  static_assert(kRows <= attention::kMaxBlock);
  const int64_t group = p.heads / p.key_heads;
  for (int64_t i = p.begin; i < p.end; ++i) {
    const int64_t first = p.offsets[i / p.key_heads];
    const int64_t key_column = i % p.key_heads * p.head_dim;
    AttentionItem item;
    item.length = p.offsets[i / p.key_heads + 1] - first;
    item.head_dim = p.head_dim;
    item.stride = p.qkv_stride;
    item.out_stride = p.out_stride;
    item.scale = p.scale;
    item.causal = p.causal;
    item.window = p.window > 0 ? p.window : item.length;
    item.cap = p.cap;
    item.k = p.k + first * p.qkv_stride + key_column;
    item.v = p.v + first * p.qkv_stride + key_column;
    const int64_t padded_length = (item.length + 15) / 16 * 16;
    const int64_t padded_dim = (item.head_dim + 15) / 16 * 16;
    item.keys = static_cast<float*>(p.scratch);
    item.values = item.keys + padded_length * padded_dim;
    item.queries = item.values + padded_length * padded_dim;
    item.scores = item.queries + attention::kMaxBlock * padded_dim;
    pack_keys(item);
    pack_values(item);
    for (int64_t member = 0; member < group; ++member) {
      const int64_t column = key_column * group + member * p.head_dim;
      item.q = p.q + first * p.qkv_stride + column;
      item.out = p.out + first * p.out_stride + column;
      attend_queries<kRows, kPanels>(item);
    }
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
