#pragma once

// What attention over rows and attention over a cache share: the softmax of a block of rows. Included by ISA
// sources only. Scores lie in panels of 16 keys, [panel][kRows][16].

#include <cstdint>
#include <limits>

#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Keys [first, last) of a row.
struct Keys {
  int64_t first, last;
};

// Lanes of `keys` from a, the others from b; the first lane is key `panel`.
inline F32x16 select_keys(F32x16 a, F32x16 b, Keys keys, int64_t panel) {
  const int64_t last = keys.last - panel;
  const int64_t first = keys.first - panel;
  if (last < 16) a = select_first(a, b, last < 0 ? 0 : last);
  return first > 0 ? select_first(b, a, first < 16 ? first : 16) : a;
}

inline int64_t lanes_left(int64_t size, int64_t done) {
  return size - done < 16 ? size - done : 16;
}

inline F32x16 load_lanes(const float* p, int64_t count) {
  return count == 16 ? load(p) : load_part(p, count);
}

// The scores of one panel capped; they are in units of log2 e.
template <int kRows>
inline void cap_scores(float* scores, float cap) {
  const F32x16 units = set1(cap * 1.44269504088896341f);
  for (int r = 0; r < kRows; ++r) store(scores + r * 16, soft_cap(load(scores + r * 16), units));
}

template <int kRows>
inline float row_maximum(const float* scores, Keys keys) {
  F32x16 top = set1(-std::numeric_limits<float>::infinity());
  for (int64_t panel = keys.first / 16 * 16; panel < keys.last; panel += 16) {
    const F32x16 lanes = load(scores + panel * kRows);
    const bool whole = panel >= keys.first && panel + 16 <= keys.last;
    top = max(top, whole ? lanes : select_keys(lanes, top, keys, panel));
  }
  return reduce_max(top);
}

// Scores of kTogether rows -> 2^(score - max), and their sums over the panels. What stands beside a row's
// keys is not counted and not read again.
template <int kRows, int kTogether>
inline void exponentials(float* scores, const Keys* keys, const float* maximum, F32x16* sums) {
  F32x16 total[kTogether], highest[kTogether];
  for (int r = 0; r < kTogether; ++r) {
    total[r] = zero();
    highest[r] = set1(maximum[r]);
  }
  const Keys shared = {keys[kTogether - 1].first, keys[0].last};
  for (int64_t panel = keys[0].first / 16 * 16; panel < keys[kTogether - 1].last; panel += 16) {
    const bool whole = panel >= shared.first && panel + 16 <= shared.last;
    float* lanes = scores + panel * kRows;
    for (int r = 0; r < kTogether; ++r) {
      const F32x16 power = exp2_not_positive(load(lanes + r * 16) - highest[r]);
      store(lanes + r * 16, power);
      total[r] = total[r] + (whole ? power : select_keys(power, zero(), keys[r], panel));
    }
  }
  for (int r = 0; r < kTogether; ++r) sums[r] = total[r];
}

// Step by step for all rows, because one row's steps wait for each other.
template <int kRows>
inline void softmax(float* scores, const Keys* keys, float* inverse) {
  float maximum[kRows];
  F32x16 sums[kRows];
  for (int r = 0; r < kRows; ++r) maximum[r] = row_maximum<kRows>(scores + r * 16, keys[r]);
  for (int r = 0; r + 2 <= kRows; r += 2) {
    exponentials<kRows, 2>(scores + r * 16, keys + r, maximum + r, sums + r);
  }
  if constexpr (kRows % 2 != 0) {
    constexpr int kLast = kRows - 1;
    exponentials<kRows, 1>(scores + kLast * 16, keys + kLast, maximum + kLast, sums + kLast);
  }
  for (int r = 0; r < kRows; ++r) inverse[r] = 1.0f / sum(sums[r]);
}

}  // namespace arrowmind::ARROWMIND_ISA
