// The largest of a row in order, and sums over all of it, by a group of threads; device/kernels.h has the
// rules.
//
// Thread i reads elements i, i + kThreads and so on: its column. Of the largest of each column the count-th
// is a bound that at least `count` elements reach, and seldom many more. Where many do, as of equals, the
// bound is narrowed bit by bit. What reaches it is sorted in memory of the group.
#include "device/gpu/math.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

// As many as there can be: what a row takes is mostly waiting for it.
constexpr uint32_t kThreads = kSumLanes, kWarps = kThreads / 32;
constexpr uint32_t kSlots = 1024;  // elements that are sorted at most
static_assert(kThreads == kSlots && kWarps == 32);

// Words in the order of floats; 0 and -0 have the same. Above 0 for all but one NaN.
ARROWMIND_DEVICE uint32_t key_of(float x) {
  const uint32_t bits = x == 0.0f ? 0u : bits_of(x);
  return bits ^ (bits >> 31 != 0 ? 0xffffffffu : 0x80000000u);
}

// Elements of larger keys are above it, and of this key those up to a place.
struct Bound {
  uint32_t key, last;
  ARROWMIND_DEVICE bool takes(uint32_t other, uint32_t place) const {
    return other > key || (other == key && place <= last);
  }
};

struct Span {
  const float* row;
  uint32_t width;
};

// Of the elements that a bound takes, those that this thread reads.
ARROWMIND_DEVICE uint32_t own_count(const Span& x, const Bound& bound) {
  uint32_t count = 0;
  for (uint32_t k = thread(); k < x.width; k += kThreads) count += bound.takes(key_of(x.row[k]), k) ? 1 : 0;
  return count;
}

ARROWMIND_DEVICE uint32_t sum_of_warp(uint32_t x) {
  return static_cast<uint32_t>(warp_sum(static_cast<int32_t>(x)));
}

// Every thread gets it. `scratch` has a place for each warp.
ARROWMIND_DEVICE uint32_t sum_of_group(uint32_t x, uint32_t* scratch) {
  x = sum_of_warp(x);
  barrier();
  if (lane() == 0) scratch[warp()] = x;
  barrier();
  return sum_of_warp(scratch[lane()]);
}

// The count-th largest of the keys of all threads, found by one warp.
ARROWMIND_DEVICE uint32_t bound_of(uint32_t own, uint32_t count, uint32_t* keys, uint32_t* scratch) {
  keys[thread()] = own;
  barrier();
  if (warp() == 0) {
    uint32_t some[kThreads / 32], found = 0;
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < kThreads / 32; ++i) some[i] = keys[32 * i + lane()];
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
      uint32_t reached = 0;
      ARROWMIND_UNROLL
      for (uint32_t i = 0; i < kThreads / 32; ++i) reached += some[i] >= (found | bit) ? 1 : 0;
      if (sum_of_warp(reached) >= count) found |= bit;
    }
    scratch[lane()] = found;
  }
  barrier();
  return scratch[0];
}

// A bound that `count` elements reach, and kSlots at most: the key first, then the places of equals.
ARROWMIND_DEVICE Bound narrowed(const Span& x, uint32_t count, uint32_t* scratch) {
  Bound bound = {0, 0xffffffffu};
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    const Bound next = {bound.key | bit, bound.last};
    const uint32_t reached = sum_of_group(own_count(x, next), scratch);
    if (reached >= count) bound = next;
    if (reached >= count && reached <= kSlots) return bound;
  }
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    const Bound next = {bound.key, bound.last & ~bit};
    if (next.last >= x.width) {
      bound = next;
      continue;
    }
    const uint32_t reached = sum_of_group(own_count(x, next), scratch);
    if (reached >= count) bound = next;
    if (reached >= count && reached <= kSlots) break;
  }
  return bound;
}

// How many the threads before this one have.
ARROWMIND_DEVICE uint32_t sum_before(uint32_t own, uint32_t* scratch) {
  uint32_t sum = own;
  for (uint32_t step = 1; step < 32; step *= 2) {
    const uint32_t other = shuffle(sum, static_cast<int>((lane() - step) & 31));
    if (lane() >= step) sum += other;
  }
  barrier();
  if (lane() == 31) scratch[warp()] = sum;
  barrier();
  return sum_of_warp(lane() < warp() ? scratch[lane()] : 0) + sum - own;
}

// Best first, of equals the first; `size` is a power of two.
ARROWMIND_DEVICE void sort(uint32_t* keys, uint32_t* places, uint32_t size) {
  for (uint32_t run = 2; run <= size; run *= 2) {
    for (uint32_t step = run / 2; step > 0; step /= 2) {
      barrier();
      const uint32_t a = 2 * step * (thread() / step) + thread() % step, b = a + step;
      if (thread() >= size / 2) continue;
      const bool is_behind = keys[b] > keys[a] || (keys[b] == keys[a] && places[b] < places[a]);
      if (is_behind != ((a & run) == 0)) continue;
      const uint32_t key = keys[a], place = places[a];
      keys[a] = keys[b];
      places[a] = places[b];
      keys[b] = key;
      places[b] = place;
    }
  }
  barrier();
}

// As device/kernels.h orders it.
ARROWMIND_DEVICE float sum_of(const Span& x, float largest, float temperature, float* lanes) {
  float sum = 0.0f;
  for (uint32_t k = thread(); k < x.width; k += kThreads) {
    sum += exponential((x.row[k] - largest) / temperature);
  }
  barrier();
  lanes[thread()] = sum;
  for (uint32_t half = kThreads / 2; half > 0; half /= 2) {
    barrier();
    if (thread() < half) lanes[thread()] += lanes[thread() + half];
  }
  barrier();
  return lanes[0];
}

}  // namespace

ARROWMIND_KERNEL(kThreads, candidates, const float* in, const float* temperatures, uint32_t* out,
                 CandidatesParameters p) {
  ARROWMIND_SHARED(uint32_t, keys, kSlots);
  ARROWMIND_SHARED(uint32_t, places, kSlots);
  ARROWMIND_SHARED(uint32_t, scratch, kWarps);
  ARROWMIND_SHARED(float, lanes, kThreads);
  const uint32_t row = group_y();
  const Span x = {in + row * uint64_t{p.in_stride}, p.width};
  uint32_t most_of_column = 0, damaged = 0;
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const float value = x.row[k];
    const uint32_t key = key_of(value);
    damaged |= value != value ? 1 : 0;
    most_of_column = key > most_of_column ? key : most_of_column;
  }
  damaged = sum_of_group(damaged, scratch);
  const uint32_t count = least(p.count, p.width);
  Bound bound = {bound_of(most_of_column, count, keys, scratch), 0xffffffffu};
  uint32_t own = own_count(x, bound);
  uint32_t taken = sum_of_group(own, scratch);
  if (taken > kSlots) {
    bound = narrowed(x, count, scratch);
    own = own_count(x, bound);
    taken = sum_of_group(own, scratch);
  }
  uint32_t slot = sum_before(own, scratch), size = 1;
  while (size < taken) size *= 2;
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const uint32_t key = key_of(x.row[k]);
    if (!bound.takes(key, k)) continue;
    keys[slot] = key;
    places[slot++] = k;
  }
  for (uint32_t i = taken + thread(); i < size; i += kThreads) {
    keys[i] = 0;
    places[i] = kNoColumn;
  }
  sort(keys, places, size);
  uint32_t* to = out + row * uint64_t{p.out_stride};
  for (uint32_t i = thread(); i < p.count; i += kThreads) {
    const bool is_there = i < count;
    const uint32_t bits = is_there ? bits_of(x.row[places[i]]) : 0xff800000u;
    to[i] = is_there ? places[i] : kNoColumn;
    to[p.count + i] = i == 0 && damaged != 0 ? 0x7fc00000u : bits;
  }
  const float largest = x.row[places[0]];
  for (uint32_t i = 0; i < p.sums; ++i) {
    const float sum = sum_of(x, largest, temperatures[row * uint64_t{p.sums} + i], lanes);
    if (thread() == 0) to[2 * p.count + i] = bits_of(sum);
  }
}
