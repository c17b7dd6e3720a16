#pragma once

// Viterbi's search over sixteen rows side by side. A window is the bits that a level depends on, the newest
// code at its upper end; a state is the window without that code, so that the state behind a code is the
// upper part of its window. Only the costs of states are kept: the way back finds each predecessor anew, by
// the same operations, for one row at a time.

#include "kernels/grid/trellis.h"
#include "kernels/simd/f32x16.h"
#include "kernels/trellis/trellis.h"

namespace arrowmind::ARROWMIND_ISA {

using trellis::kLanes;
using trellis::kStride;
using trellis::Params;

template <class Tables>
class Search {
 public:
  explicit Search(const Params& p) : p_(p), steps_((p.k + kStride - 1) / kStride), costs_(p.scratch) {
    values_ = costs_ + (steps_ + 1) * kStates * kLanes;
    for (int window = 0; window < kStates * kCodes; ++window) {
      const int sum = Tables::kFirst[window >> (kWindowBits - 4)] + Tables::kSecond[window & 15];
      levels_[window] = static_cast<float>(sum) - Tables::kOffset;
    }
  }

  void run() {
    for (int64_t row = 0; row < kLanes; ++row) {
      const float* from = p_.values + (row < p_.rows ? row : p_.rows - 1) * p_.k;
      for (int64_t k = 0; k < p_.k; ++k) values_[k * kLanes + row] = from[k];
    }
    for (int64_t first = 0; first < kStride && first < p_.k; ++first) {
      forward(first);
      for (int64_t row = 0; row < p_.rows; ++row) back(first, row);
    }
  }

 private:
  static constexpr int kWindowBits = 4 + Tables::kBack * Tables::kBits;
  static constexpr int kCodes = 1 << Tables::kBits;
  static constexpr int kStates = 1 << (kWindowBits - Tables::kBits);
  static constexpr float kNever = 1e30f;

  float* costs(int64_t step) const { return costs_ + step * kStates * kLanes; }
  float weight(int64_t k) const { return p_.weight == nullptr ? 1.0f : p_.weight[k]; }
  float scale(int64_t row, int64_t k) const {
    const int64_t groups = (p_.k + p_.group - 1) / p_.group;
    return p_.scales[(row < p_.rows ? row : p_.rows - 1) * groups + k / p_.group];
  }
  // The window through which a state is reached from the `from`-th of those that lead to it.
  static constexpr int window_of(int state, int from) {
    return (state << Tables::kBits | from) & (kStates * kCodes - 1);
  }

  void forward(int64_t first) {
    float* start = costs(0);
    for (int64_t i = 0; i < kStates * kLanes; ++i) start[i] = kNever;
    for (int64_t row = 0; row < kLanes; ++row) {
      const int64_t own = row < p_.rows ? row : p_.rows - 1;
      const int state = p_.states == nullptr ? 0 : p_.states[own * kStride + first] & (kStates - 1);
      start[state * kLanes + row] = 0.0f;
    }
    alignas(64) float scales[kLanes];
    int64_t group = -1;
    for (int64_t step = 0, k = first; k < p_.k; ++step, k += kStride) {
      if (k / p_.group != group) {
        group = k / p_.group;
        for (int64_t row = 0; row < kLanes; ++row) scales[row] = scale(row, k);
      }
      const F32x16 counts = set1(weight(k));
      extend(costs(step), load(values_ + k * kLanes) * counts, load(scales) * counts, costs(step + 1));
    }
  }

  void extend(const float* before, F32x16 value, F32x16 size, float* after) const {
    for (int state = 0; state < kStates; ++state) {
      F32x16 best = zero();
#pragma GCC unroll 8
      for (int from = 0; from < kCodes; ++from) {
        const int window = window_of(state, from);
        const F32x16 apart = value - size * set1(levels_[window]);
        const F32x16 cost = load(before + (window & (kStates - 1)) * kLanes) + apart * apart;
        best = from == 0 ? cost : min(best, cost);
      }
      store(after + state * kLanes, best);
    }
  }

  void back(int64_t first, int64_t row) const {
    const int64_t steps = (p_.k - first + kStride - 1) / kStride;
    const float* last = costs(steps) + row;
    int state = 0;
    for (int i = 1; i < kStates; ++i) {
      if (last[i * kLanes] < last[state * kLanes]) state = i;
    }
    for (int64_t step = steps - 1; step >= 0; --step) {
      const int64_t k = first + step * kStride;
      const float value = values_[k * kLanes + row] * weight(k), size = scale(row, k) * weight(k);
      const float* before = costs(step) + row;
      int best = window_of(state, 0);
      float least = cost_of(before, best, value, size);
      for (int from = 1; from < kCodes; ++from) {
        const int window = window_of(state, from);
        const float cost = cost_of(before, window, value, size);
        if (cost < least) {
          least = cost;
          best = window;
        }
      }
      p_.codes[row * p_.k + k] = static_cast<uint8_t>(best >> (kWindowBits - Tables::kBits));
      p_.levels[row * p_.k + k] = levels_[best];
      state = best & (kStates - 1);
    }
  }

  float cost_of(const float* before, int window, float value, float size) const {
    const float apart = value - size * levels_[window];
    return before[(window & (kStates - 1)) * kLanes] + apart * apart;
  }

  const Params& p_;
  const int64_t steps_;
  float* const costs_;
  float* values_;
  float levels_[kStates * kCodes];
};

inline void search_rows(const Params& p) {
  if (p.bits == 2) {
    Search<grid::Trellis2Tables>(p).run();
  } else {
    Search<grid::Trellis3Tables>(p).run();
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
