// A group serves a head of a row.
#include "kernels/attention/gpu_attend.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

// Keys of a row's sequence, counted from its first.
struct SequenceKeys {
  const float *q, *k, *v;
  uint64_t stride;
  uint32_t dims;
  float scale, cap;

  ARROWMIND_DEVICE float score(uint32_t key) const {
    const float* own = k + key * stride;
    float sum = 0.0f;
    for (uint32_t d = 0; d < dims; ++d) sum = fused(q[d] * scale, own[d], sum);
    return cap > 0.0f ? soft_cap(sum, cap) : sum;
  }
  ARROWMIND_DEVICE float mix(const float* weights, uint32_t first, uint32_t count, uint32_t d,
                             float sum) const {
    return mix_rows(v, stride, weights, first, count, d, sum);
  }
  ARROWMIND_DEVICE static bool has_steps() { return false; }
  ARROWMIND_DEVICE static float step(uint32_t) { return 1.0f; }
};

}  // namespace

ARROWMIND_KERNEL(kAttendThreads, attention, const float* qkv, const int32_t* offsets,
                 const int32_t* sequence_of, float* out, AttentionParameters p) {
  ARROWMIND_SHARED(float, weights, kKeysHeld);
  ARROWMIND_SHARED(float, scratch, kAttendWarps);
  const uint32_t row = group_y(), head = group_z(), sequence = static_cast<uint32_t>(sequence_of[row]);
  const auto begin = static_cast<uint32_t>(offsets[sequence]);
  const uint32_t length = static_cast<uint32_t>(offsets[sequence + 1]) - begin;
  const float* k =
      qkv + begin * uint64_t{p.in_stride} + (p.heads + head / (p.heads / p.key_heads)) * p.head_dim;
  const SequenceKeys keys = {qkv + row * uint64_t{p.in_stride} + head * p.head_dim,
                             k,
                             k + p.key_heads * p.head_dim,
                             p.in_stride,
                             p.head_dim,
                             p.scale * kLog2E,
                             p.cap * kLog2E};
  const bool causal = (p.flags & kCausal) != 0;
  const uint32_t end = causal ? row - begin + 1 : length;
  const uint32_t first = causal && p.window > 0 && end > p.window ? end - p.window : 0;
  attend(keys, first, end, p.head_dim, {weights, scratch},
         out + row * uint64_t{p.out_stride} + head * p.head_dim);
}
