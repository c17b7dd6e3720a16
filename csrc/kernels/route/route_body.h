#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include "kernels/route/route.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

inline void softmax_row(const float* x, int64_t count, float* out) {
  const F32x16 lowest = set1(-__builtin_inff());
  F32x16 most = lowest;
  for (int64_t i = 0; i < count; i += 16) {
    most = max(select_first(load_part(x + i, count - i), lowest, count - i), most);
  }
  const F32x16 largest = set1(reduce_max(most));
  F32x16 total = zero();
  for (int64_t i = 0; i < count; i += 16) {
    const F32x16 power = exp(load_part(x + i, count - i) - largest);
    total = total + select_first(power, zero(), count - i);
    store_part(out + i, power, count - i);
  }
  const F32x16 whole = set1(sum(total));
  for (int64_t i = 0; i < count; i += 16) {
    store_part(out + i, load_part(out + i, count - i) / whole, count - i);
  }
}

inline void sigmoid_row(const float* x, int64_t count, float* out) {
  const F32x16 one = set1(1.0f);
  for (int64_t i = 0; i < count; i += 16) {
    store_part(out + i, one / (one + exp(zero() - load_part(x + i, count - i))), count - i);
  }
}

// The largest value that is not taken, the first of equals; -1 where all are.
inline int64_t best_of(const float* values, const bool* taken, int64_t count) {
  int64_t best = -1;
  for (int64_t i = 0; i < count; ++i) {
    if (!taken[i] && (best < 0 || values[i] > values[best])) best = i;
  }
  return best;
}

inline float score_of_group(const float* choice, int64_t size, route::GroupScore score) {
  bool taken[route::kMaxExperts] = {};
  const int64_t first = best_of(choice, taken, size);
  if (score == route::GroupScore::kLargest) return choice[first];
  taken[first] = true;
  return choice[first] + choice[best_of(choice, taken, size)];
}

// Takes the experts of all groups but the best ones.
inline void drop_groups(const route::Params& p, const float* choice, bool* taken) {
  const int64_t size = p.experts / p.groups;
  float scores[route::kMaxExperts];
  bool kept[route::kMaxExperts] = {};
  for (int64_t g = 0; g < p.groups; ++g) scores[g] = score_of_group(choice + g * size, size, p.group_score);
  for (int64_t i = 0; i < p.kept; ++i) kept[best_of(scores, kept, p.groups)] = true;
  for (int64_t e = 0; e < p.experts; ++e) taken[e] = !kept[e / size];
}

inline void weigh(const route::Params& p, float* weights) {
  if (p.normalised) {
    float total = 0.0f;
    for (int64_t i = 0; i < p.top; ++i) total += weights[i];
    for (int64_t i = 0; i < p.top; ++i) weights[i] /= total + 1e-20f;
  }
  for (int64_t i = 0; i < p.top; ++i) weights[i] *= p.factor;
}

inline void route_row(const route::Params& p, const float* x, float* out) {
  float scores[route::kMaxExperts];
  float biased[route::kMaxExperts];
  bool taken[route::kMaxExperts] = {};
  const bool soft = p.score == route::Score::kSoftmax;
  soft ? softmax_row(x, p.experts, scores) : sigmoid_row(x, p.experts, scores);
  const float* choice = scores;
  if (p.bias != nullptr) {
    for (int64_t e = 0; e < p.experts; ++e) biased[e] = scores[e] + p.bias[e];
    choice = biased;
  }
  if (p.kept < p.groups) drop_groups(p, choice, taken);
  for (int64_t i = 0; i < p.top; ++i) {
    const int64_t best = best_of(choice, taken, p.experts);
    taken[best] = true;
    out[i] = static_cast<float>(best);
    out[p.top + i] = scores[best];
  }
  weigh(p, out + p.top);
}

inline void route_rows(const route::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    route_row(p, p.x + row * p.x_stride, p.out + row * p.out_stride);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
