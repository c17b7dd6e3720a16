#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.
//
// One item (a head of a sequence) is packed so that both products are the same small matrix product:
//   keys     [length / 16][head_dim][16]    transposed: 16 scores side by side; head_dim padded to 16
//   values   [head_dim / 16][length][16]
//   queries  [head_dim / 16][block][16]     a block of query rows, scaled by scale * log2 e
//   scores   [length / 16][block][16]       then their exponentials
// In the last two a row's element is one load with a constant offset, broadcast to all lanes.

#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

struct AttentionItem {
  const float *q, *k, *v;  // first row and column of this head
  float* out;
  int64_t stride, out_stride, length, head_dim;
  float scale;
  float *keys, *values, *queries, *scores;
};

inline int64_t lanes_left(int64_t size, int64_t done) {
  return size - done < 16 ? size - done : 16;
}

inline F32x16 load_lanes(const float* p, int64_t count) {
  return count == 16 ? load(p) : load_part(p, count);
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

// acc[r][j] = sum_i a[i][r] * b[j][i], a in groups of 16 steps as above, b in panels of 16 columns.
template <int kRows, int kPanels>
inline void multiply(const float* a, const float* b, int64_t panel, int64_t depth,
                     F32x16 (&acc)[kRows][kPanels]) {
  for (auto& row : acc) {
    for (F32x16& lanes : row) lanes = zero();
  }
  const auto step = [&](int64_t i) {
    F32x16 column[kPanels];
    for (int j = 0; j < kPanels; ++j) column[j] = keep(load(b + j * panel + i * 16));
    for (int r = 0; r < kRows; ++r) {
      const F32x16 element = set1(a[r * 16 + i]);
      for (int j = 0; j < kPanels; ++j) acc[r][j] = fma(element, column[j], acc[r][j]);
    }
  };
  for (; depth >= 16; depth -= 16, a += kRows * 16, b += 16 * 16) {
    for (int i = 0; i < 16; ++i) step(i);
  }
  for (int64_t i = 0; i < depth; ++i) step(i);
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

template <int kRows>
inline float row_maximum(const float* scores, int64_t length) {
  const int64_t whole = length / 16;
  F32x16 top = set1(-std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < whole; ++i) top = max(top, load(scores + i * kRows * 16));
  if (length % 16 != 0) {
    top = max(top, select_first(load(scores + whole * kRows * 16), top, length % 16));
  }
  return reduce_max(top);
}

// Scores of kTogether rows -> 2^(score - max), and their sums over the panels. What stands behind the last
// key is not counted and not read again.
template <int kRows, int kTogether>
inline void exponentials(float* scores, int64_t length, const float* maximum, F32x16* sums) {
  const int64_t whole = length / 16;
  F32x16 total[kTogether], highest[kTogether];
  for (int r = 0; r < kTogether; ++r) {
    total[r] = zero();
    highest[r] = set1(maximum[r]);
  }
  for (int64_t i = 0; i < whole; ++i, scores += kRows * 16) {
    for (int r = 0; r < kTogether; ++r) {
      const F32x16 power = exp2_not_positive(load(scores + r * 16) - highest[r]);
      store(scores + r * 16, power);
      total[r] = total[r] + power;
    }
  }
  for (int r = 0; r < kTogether; ++r) {
    if (length % 16 != 0) {
      const F32x16 power = exp2_not_positive(load(scores + r * 16) - highest[r]);
      store(scores + r * 16, power);
      total[r] = total[r] + select_first(power, zero(), length % 16);
    }
    sums[r] = total[r];
  }
}

// Step by step for all rows, because one row's steps wait for each other.
template <int kRows>
inline void softmax(float* scores, int64_t length, float* inverse) {
  float maximum[kRows];
  F32x16 sums[kRows];
  for (int r = 0; r < kRows; ++r) maximum[r] = row_maximum<kRows>(scores + r * 16, length);
  for (int r = 0; r + 2 <= kRows; r += 2) {
    exponentials<kRows, 2>(scores + r * 16, length, maximum + r, sums + r);
  }
  if constexpr (kRows % 2 != 0) {
    constexpr int kLast = kRows - 1;
    exponentials<kRows, 1>(scores + kLast * 16, length, maximum + kLast, sums + kLast);
  }
  for (int r = 0; r < kRows; ++r) inverse[r] = 1.0f / sum(sums[r]);
}

template <int kRows, int kPanels>
inline void mix_values(const AttentionItem& item, int64_t row, int64_t d, const float* inverse) {
  F32x16 acc[kRows][kPanels];
  const int64_t size = item.length * 16;
  multiply<kRows, kPanels>(item.scores, item.values + d / 16 * size, size, item.length, acc);
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kPanels; ++j) {
      const int64_t column = d + 16 * j;
      store_part(item.out + (row + r) * item.out_stride + column, acc[r][j] * set1(inverse[r]),
                 lanes_left(item.head_dim, column));
    }
  }
}

template <int kRows, int kPanels>
inline void attend_block(const AttentionItem& item, int64_t row) {
  pack_queries<kRows>(item, row);
  const int64_t panels = (item.length + 15) / 16;
  int64_t panel = 0;
  for (; panel + kPanels <= panels; panel += kPanels) score_panels<kRows, kPanels>(item, panel);
  for (; panel < panels; ++panel) score_panels<kRows, 1>(item, panel);
  float inverse[kRows];
  softmax<kRows>(item.scores, item.length, inverse);
  int64_t d = 0;
  for (; d + 16 * (kPanels - 1) < item.head_dim; d += 16 * kPanels) {
    mix_values<kRows, kPanels>(item, row, d, inverse);
  }
  for (; d < item.head_dim; d += 16) mix_values<kRows, 1>(item, row, d, inverse);
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
inline void attend(const attention::Params& p) {
  static_assert(kRows <= attention::kMaxBlock);
  for (int64_t i = p.begin; i < p.end; ++i) {
    const int64_t first = p.offsets[i / p.heads];
    const int64_t column = i % p.heads * p.head_dim;
    AttentionItem item;
    item.length = p.offsets[i / p.heads + 1] - first;
    item.head_dim = p.head_dim;
    item.stride = p.qkv_stride;
    item.out_stride = p.out_stride;
    item.scale = p.scale;
    item.q = p.q + first * p.qkv_stride + column;
    item.k = p.k + first * p.qkv_stride + column;
    item.v = p.v + first * p.qkv_stride + column;
    item.out = p.out + first * p.out_stride + column;
    const int64_t padded_length = (item.length + 15) / 16 * 16;
    const int64_t padded_dim = (item.head_dim + 15) / 16 * 16;
    item.keys = static_cast<float*>(p.scratch);
    item.values = item.keys + padded_length * padded_dim;
    item.queries = item.values + padded_length * padded_dim;
    item.scores = item.queries + attention::kMaxBlock * padded_dim;
    pack_keys(item);
    pack_values(item);
    int64_t row = 0;
    for (; row + kRows <= item.length; row += kRows) attend_block<kRows, kPanels>(item, row);
    if (row < item.length) attend_rest<kRows, kPanels>(item, row);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
