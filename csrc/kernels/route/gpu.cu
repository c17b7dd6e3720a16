// A warp routes a row; route.h has the rules. Scores and choices lie in memory of the group.
#include "device/gpu/math.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = 32, kMostExperts = 1024;
constexpr uint32_t kNone = 0xffffffffu;

struct Choice {
  float value;
  uint32_t number;  // kNone: there is none
};

// The better of two, as a search from the first on finds it: a number beside a NaN only where it came first.
ARROWMIND_DEVICE Choice better(Choice a, Choice b) {
  if (a.number == kNone || b.number == kNone) return a.number == kNone ? b : a;
  const Choice first = a.number < b.number ? a : b, second = a.number < b.number ? b : a;
  return second.value > first.value ? second : first;
}

// The best of `count` values that are not taken. With NaN among them it is one of them all the same.
ARROWMIND_DEVICE Choice best_of(const float* values, const uint8_t* taken, uint32_t first, uint32_t count) {
  Choice best = {0.0f, kNone};
  for (uint32_t i = first + lane(); i < first + count; i += 32) {
    if (taken[i] == 0) best = better(best, {values[i], i});
  }
  for (int step = 16; step > 0; step /= 2) {
    best = better(best, {shuffle_xor(best.value, step), shuffle_xor(best.number, step)});
  }
  return best;
}

ARROWMIND_DEVICE void softmax(const float* x, uint32_t count, float* out) {
  float largest = -__builtin_huge_valf();
  for (uint32_t i = lane(); i < count; i += 32) largest = most(largest, x[i]);
  largest = warp_most(largest);
  float total = 0.0f;
  for (uint32_t i = lane(); i < count; i += 32) {
    out[i] = exponential(x[i] - largest);
    total += out[i];
  }
  total = warp_sum(total);
  for (uint32_t i = lane(); i < count; i += 32) out[i] = out[i] / total;
}

ARROWMIND_DEVICE void sigmoid(const float* x, uint32_t count, float* out) {
  for (uint32_t i = lane(); i < count; i += 32) out[i] = 1.0f / (1.0f + exponential(0.0f - x[i]));
}

// Takes the experts of all groups but the best ones.
ARROWMIND_DEVICE void drop_groups(const RouteParameters& p, const float* choices, uint8_t* taken,
                                  float* groups, uint8_t* kept) {
  const uint32_t size = p.experts / p.groups;
  for (uint32_t group = 0; group < p.groups; ++group) {
    const Choice first = best_of(choices, taken, group * size, size);
    float value = first.value;
    if (p.sums_two != 0) {
      barrier();
      if (thread() == 0) taken[first.number] = 1;
      barrier();
      value = value + best_of(choices, taken, group * size, size).value;
      barrier();
      if (thread() == 0) taken[first.number] = 0;
    }
    if (thread() == 0) groups[group] = value;
  }
  for (uint32_t i = lane(); i < p.groups; i += 32) kept[i] = 0;
  barrier();
  for (uint32_t i = 0; i < p.kept; ++i) {
    const uint32_t best = best_of(groups, kept, 0, p.groups).number;
    barrier();
    if (thread() == 0) kept[best] = 1;
    barrier();
  }
  for (uint32_t i = lane(); i < p.experts; i += 32) taken[i] = kept[i / size] == 0 ? 1 : 0;
}

constexpr uint32_t kGroupThreads = 128;

ARROWMIND_DEVICE uint32_t expert_of(const GroupRowsParameters& p, const float* route, uint32_t pair) {
  const float number = route[pair / p.top * uint64_t{p.route_stride} + pair % p.top];
  const float within = number > 0.0f ? number : 0.0f;  // a NaN is none
  return within < static_cast<float>(p.experts) ? static_cast<uint32_t>(within) : p.experts - 1;
}

}  // namespace

ARROWMIND_KERNEL(kThreads, route, const float* x, const float* bias, float* out, RouteParameters p) {
  ARROWMIND_SHARED(float, scores, kMostExperts);
  ARROWMIND_SHARED(float, choices, kMostExperts);
  ARROWMIND_SHARED(uint8_t, taken, kMostExperts);
  ARROWMIND_SHARED(float, groups, kMostExperts);
  ARROWMIND_SHARED(uint8_t, kept, kMostExperts);
  const uint32_t row = group_y();
  const float* in = x + row * uint64_t{p.x_stride};
  float* numbers = out + row * uint64_t{p.out_stride};
  if (p.is_sigmoid != 0) {
    sigmoid(in, p.experts, scores);
  } else {
    softmax(in, p.experts, scores);
  }
  for (uint32_t i = lane(); i < p.experts; i += 32) {
    choices[i] = (p.flags & kHasBias) != 0 ? scores[i] + bias[i] : scores[i];
    taken[i] = 0;
  }
  barrier();
  if (p.kept < p.groups) drop_groups(p, choices, taken, groups, kept);
  barrier();
  float total = 0.0f;
  for (uint32_t i = 0; i < p.top; ++i) {
    const uint32_t best = best_of(choices, taken, 0, p.experts).number;
    barrier();
    total += scores[best];
    if (thread() == 0) {
      taken[best] = 1;
      numbers[i] = static_cast<float>(best);
      numbers[p.top + i] = scores[best];
    }
    barrier();
  }
  if (thread() != 0) return;
  for (uint32_t i = 0; i < p.top; ++i) {
    float weight = numbers[p.top + i];
    if ((p.flags & kNormalise) != 0) weight = weight / (total + 1e-20f);
    numbers[p.top + i] = weight * p.factor;
  }
}

// A group for each expert: each of its threads counts, of the next pairs, those of this expert and of the
// ones before it; behind those of the threads before it, it writes down its own.
ARROWMIND_KERNEL(kGroupThreads, group_rows, const float* route, uint32_t* from, uint32_t* to, uint32_t* tiles,
                 GroupRowsParameters p) {
  ARROWMIND_SHARED(uint32_t, counts, kGroupThreads);
  ARROWMIND_SHARED(uint32_t, before, kGroupThreads);
  const uint32_t expert = group_x(), pairs = p.rows * p.top, share = ceil_of(pairs, kGroupThreads);
  const uint32_t begin = least(thread() * share, pairs), end = least(begin + share, pairs);
  uint32_t own = 0, smaller = 0;
  for (uint32_t pair = begin; pair < end; ++pair) {
    const uint32_t number = expert_of(p, route, pair);
    own += number == expert ? 1 : 0;
    smaller += number < expert ? 1 : 0;
  }
  counts[thread()] = own;
  before[thread()] = smaller;
  barrier();
  uint32_t start = 0, count = 0, place = 0;
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    start += before[i];
    if (i < thread()) place += counts[i];
    count += counts[i];
  }
  place += start;
  for (uint32_t pair = begin; pair < end; ++pair) {
    if (expert_of(p, route, pair) != expert) continue;
    from[place] = pair / p.top;
    to[pair] = place++;
  }
  const uint32_t first_tile = most_tiles(start, expert, p.tile),
                 end_tile = most_tiles(start + count, expert + 1, p.tile);
  for (uint32_t i = first_tile + thread(); i < end_tile; i += kGroupThreads) {
    const uint32_t first = least((i - first_tile) * p.tile, count);
    tiles[3 * i] = expert;
    tiles[3 * i + 1] = start + first;
    tiles[3 * i + 2] = least(p.tile, count - first);
  }
}
