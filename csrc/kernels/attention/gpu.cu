// A group serves a head of a row: it takes 128 keys at a time, a thread scores one of them, then adds up four
// dimensions of the values at most. The largest score so far and the sum are carried along.
#include "device/gpu/math.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = 128, kWarps = kThreads / 32, kDims = 4;

struct Head {
  const float *q, *k, *v;
  uint64_t stride;
  uint32_t first, end;  // keys
};

ARROWMIND_DEVICE Head head_of(const float* qkv, const int32_t* offsets, const int32_t* sequence_of,
                              const AttentionParameters& p, uint32_t row) {
  const uint32_t head = group_z(), key_head = head / (p.heads / p.key_heads), sequence = sequence_of[row];
  const float* k = qkv + p.heads * p.head_dim + key_head * p.head_dim;
  Head found = {qkv + row * uint64_t{p.in_stride} + head * p.head_dim,
                k,
                k + p.key_heads * p.head_dim,
                p.in_stride,
                static_cast<uint32_t>(offsets[sequence]),
                static_cast<uint32_t>(offsets[sequence + 1])};
  if ((p.flags & kCausal) != 0) {
    found.end = row + 1;
    if (p.window != 0 && found.end - found.first > p.window) found.first = found.end - p.window;
  }
  return found;
}

ARROWMIND_DEVICE float score_of(const Head& head, const AttentionParameters& p, uint32_t key) {
  const float* k = head.k + key * head.stride;
  float sum = 0.0f;
  for (uint32_t d = 0; d < p.head_dim; ++d) sum = fused(head.q[d] * p.scale, k[d], sum);
  return p.cap > 0.0f ? soft_cap(sum, p.cap) : sum;
}

// Dimensions from `first_dim` on.
struct Carried {
  float most_score, total;
  float sums[kDims];
};

ARROWMIND_DEVICE void take_keys(const Head& head, const AttentionParameters& p, uint32_t first_key,
                                uint32_t first_dim, float* weights, float* scratch, Carried* carried) {
  const uint32_t key = first_key + thread(), count = least(kThreads, head.end - first_key);
  const bool is_key = thread() < count;
  const float score = is_key ? score_of(head, p, key) : -__builtin_huge_valf();
  const float most_score = fold_group<kWarps>(most(carried->most_score, score), scratch, Most());
  const float weight = is_key ? exponential(score - most_score) : 0.0f;
  weights[thread()] = weight;
  // Sums of before count for less where a larger score came.
  const float fade = carried->total == 0.0f ? 0.0f : exponential(carried->most_score - most_score);
  carried->total = fused(carried->total, fade, fold_group<kWarps>(weight, scratch, Sum()));
  carried->most_score = most_score;
  for (uint32_t i = 0; i < kDims; ++i) {
    const uint32_t d = first_dim + i * kThreads + thread();
    if (d >= p.head_dim) break;
    float sum = carried->sums[i] * fade;
    for (uint32_t j = 0; j < count; ++j)
      sum = fused(weights[j], head.v[(first_key + j) * head.stride + d], sum);
    carried->sums[i] = sum;
  }
}

}  // namespace

ARROWMIND_KERNEL(kThreads, attention, const float* qkv, const int32_t* offsets, const int32_t* sequence_of,
                 float* out, AttentionParameters p) {
  ARROWMIND_SHARED(float, weights, kThreads);
  ARROWMIND_SHARED(float, scratch, kWarps);
  const uint32_t row = group_y();
  const Head head = head_of(qkv, offsets, sequence_of, p, row);
  for (uint32_t first_dim = 0; first_dim < p.head_dim; first_dim += kDims * kThreads) {
    Carried carried = {-__builtin_huge_valf(), 0.0f, {0.0f, 0.0f, 0.0f, 0.0f}};
    for (uint32_t key = head.first; key < head.end; key += kThreads) {
      take_keys(head, p, key, first_dim, weights, scratch, &carried);
      barrier();  // before the weights are written again
    }
    for (uint32_t i = 0; i < kDims; ++i) {
      const uint32_t d = first_dim + i * kThreads + thread();
      if (d >= p.head_dim) break;
      out[row * uint64_t{p.out_stride} + group_z() * p.head_dim + d] = carried.sums[i] / carried.total;
    }
  }
}
