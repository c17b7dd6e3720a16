#pragma once

// Attention of one row by one group, in the order of the CPU's kernels (attention.h): sums over dimensions,
// over keys, and of exponentials in 16 lanes. So the bits are the same.

#include "device/gpu/math.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kAttendThreads = 128, kAttendWarps = kAttendThreads / 32;
// Keys whose weights a group holds at a time; scores of more are computed twice.
constexpr uint32_t kKeysHeld = 1024;

constexpr float kLog2E = 1.44269504088896341f;

// Memory of the group.
struct AttendMemory {
  float* weights;  // [kKeysHeld]
  float* scratch;  // [kAttendWarps]
};

// 1 / the sum of all lanes' sums, for every thread.
ARROWMIND_DEVICE float inverse_total(float lane_sum, float* scratch) {
  for (int step = 8; step > 0; step /= 2) lane_sum += shuffle_xor(lane_sum, step);
  barrier();
  if (thread() == 0) scratch[0] = 1.0f / lane_sum;
  barrier();
  return scratch[0];
}

// mix() of values that are rows of `stride` floats.
ARROWMIND_DEVICE float mix_rows(const float* values, uint64_t stride, const float* weights, uint32_t first,
                                uint32_t count, uint32_t d, float sum) {
  for (uint32_t i = 0; i < count; ++i) sum = fused(weights[i], values[(first + i) * stride + d], sum);
  return sum;
}

// sums[d] = sum over the keys [first, end) of the row's sequence of softmax(score) * value. Of `keys`:
//   score(key)      in units of log2 e, capped
//   has_steps(), step(key)   what weights are multiplied by before they meet values
//   mix(weights, first, count, d, sum)   the sum, and weights[i] * element d of value first + i, in order
// `sums` belongs to this group; a thread writes and reads its own dimensions.
template <class Keys>
ARROWMIND_DEVICE void attend(const Keys& keys, uint32_t first, uint32_t end, uint32_t dims,
                             const AttendMemory& memory, float* sums) {
  const bool held = end - first <= kKeysHeld;
  float* weights = memory.weights;
  float largest = -__builtin_huge_valf();
  for (uint32_t key = first + thread(); key < end; key += kAttendThreads) {
    const float score = keys.score(key);
    if (held) weights[key - first] = score;
    largest = most(largest, score);
  }
  largest = fold_group<kAttendWarps>(largest, memory.scratch, Most());
  float lane_sum = 0.0f;  // of key j in lane j % 16
  for (uint32_t chunk = first; chunk < end; chunk += kKeysHeld) {
    const uint32_t count = least(kKeysHeld, end - chunk);
    barrier();
    for (uint32_t i = thread(); i < count; i += kAttendThreads) {
      weights[i] = exp2_not_positive((held ? weights[i] : keys.score(chunk + i)) - largest);
    }
    barrier();
    if (thread() < 16) {
      for (uint32_t i = (thread() - chunk) % 16; i < count; i += 16) lane_sum += weights[i];
    }
    if (keys.has_steps()) {
      barrier();
      for (uint32_t i = thread(); i < count; i += kAttendThreads)
        weights[i] = weights[i] * keys.step(chunk + i);
      barrier();
    }
    for (uint32_t d = thread(); d < dims; d += kAttendThreads) {
      sums[d] = keys.mix(weights, chunk, count, d, chunk == first ? 0.0f : sums[d]);
    }
  }
  const float inverse = inverse_total(lane_sum, memory.scratch);
  for (uint32_t d = thread(); d < dims; d += kAttendThreads) sums[d] = sums[d] * inverse;
}

}  // namespace arrowmind::device::gpu
