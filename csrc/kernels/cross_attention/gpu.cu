// A group serves a head of a row.
#include "kernels/attention/gpu_attend.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

// The rows that a sequence looks at, counted from its first.
struct LookedKeys {
  const float *q, *k, *v;
  uint64_t stride;
  uint32_t dims;
  float scale;

  // In 16 lanes, folded as the CPU's are.
  ARROWMIND_DEVICE float score(uint32_t key) const {
    const float* own = k + key * stride;
    float lanes[16] = {};
    for (uint32_t first = 0; first < dims; first += 16) {
#pragma unroll
      for (uint32_t i = 0; i < 16; ++i) {
        if (first + i < dims) lanes[i] = fused(q[first + i], own[first + i], lanes[i]);
      }
    }
#pragma unroll
    for (int width = 8; width > 0; width /= 2) {
#pragma unroll
      for (int i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
    }
    return lanes[0] * scale;
  }
  ARROWMIND_DEVICE float mix(const float* weights, uint32_t first, uint32_t count, uint32_t d,
                             float sum) const {
    return mix_rows(v, stride, weights, first, count, d, sum);
  }
  ARROWMIND_DEVICE static bool has_steps() { return false; }
  ARROWMIND_DEVICE static float step(uint32_t) { return 1.0f; }
};

}  // namespace

ARROWMIND_KERNEL(kAttendThreads, cross_attention, const float* q, const float* looked,
                 const int32_t* looked_offsets, const int32_t* sequence_of, float* out,
                 CrossAttentionParameters p) {
  ARROWMIND_SHARED(float, weights, kKeysHeld);
  ARROWMIND_SHARED(float, scratch, kAttendWarps);
  const uint32_t row = group_y(), column = group_z() * p.head_dim;
  const uint32_t sequence = static_cast<uint32_t>(sequence_of[row]);
  const auto begin = static_cast<uint32_t>(looked_offsets[sequence]);
  const float* first = looked + begin * uint64_t{p.looked_stride} + column;
  const LookedKeys keys = {q + row * uint64_t{p.q_stride} + column,
                           first + p.keys,
                           first + p.values,
                           p.looked_stride,
                           p.head_dim,
                           p.scale * kLog2E};
  attend(keys, 0, static_cast<uint32_t>(looked_offsets[sequence + 1]) - begin, p.head_dim, {weights, scratch},
         out + row * uint64_t{p.out_stride} + column);
}
