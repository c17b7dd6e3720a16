// A group serves a head of a row, or of several rows of a sequence.
#include "kernels/attention/gpu_tile.h"

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

  // For attend_tile(): a warp brings a row.
  ARROWMIND_DEVICE float capped(float sum) const { return cap > 0.0f ? soft_cap(sum, cap) : sum; }
  ARROWMIND_DEVICE void bring_keys(uint32_t begin, uint32_t count, uint32_t to_stride, float* to,
                                   float* steps) const {
    bring(k, begin, count, to_stride, to);
    if (thread() < count) steps[thread()] = 1.0f;
  }
  ARROWMIND_DEVICE void bring_values(uint32_t begin, uint32_t count, uint32_t to_stride, float* to,
                                     float*) const {
    bring(v, begin, count, to_stride, to);
  }
  ARROWMIND_DEVICE void bring(const float* from, uint32_t begin, uint32_t count, uint32_t to_stride,
                              float* to) const {
    for (uint32_t i = warp(); i < count; i += kAttendWarps) {
      for (uint32_t d = lane(); d < to_stride; d += 32)
        to[i * to_stride + d] = d < dims ? from[(begin + i) * stride + d] : 0.0f;
    }
  }
};

// A head of the sequence that a row belongs to, and what rows see of it.
struct OwnSequence {
  uint32_t row, head, index, length;  // index: of the row in its sequence
  SequenceKeys keys;
  TileRows rows;

  ARROWMIND_DEVICE OwnSequence(const float* qkv, const int32_t* offsets, const int32_t* sequence_of,
                               const AttentionParameters& p)
      : row(group_y()), head(group_z()) {
    const uint32_t sequence = static_cast<uint32_t>(sequence_of[row]);
    const auto begin = static_cast<uint32_t>(offsets[sequence]);
    index = row - begin;
    length = static_cast<uint32_t>(offsets[sequence + 1]) - begin;
    const float* k =
        qkv + begin * uint64_t{p.in_stride} + (p.heads + head / (p.heads / p.key_heads)) * p.head_dim;
    keys = {qkv + row * uint64_t{p.in_stride} + head * p.head_dim,
            k,
            k + p.key_heads * p.head_dim,
            p.in_stride,
            p.head_dim,
            p.scale * kLog2E,
            p.cap * kLog2E};
    const bool causal = (p.flags & kCausal) != 0;
    rows = {1, causal ? index + 1 : length, causal ? 1u : 0u, causal ? p.window : 0u};
  }
};

}  // namespace

ARROWMIND_KERNEL(kAttendThreads, attention, const float* qkv, const int32_t* offsets,
                 const int32_t* sequence_of, float* out, AttentionParameters p) {
  ARROWMIND_SHARED(float, weights, kKeysHeld);
  ARROWMIND_SHARED(float, scratch, kAttendWarps);
  const OwnSequence own(qkv, offsets, sequence_of, p);
  attend(own.keys, own.rows.first(0), own.rows.end(0), p.head_dim, {weights, scratch},
         out + own.row * uint64_t{p.out_stride} + own.head * p.head_dim);
}

// The same where sequences have several rows. The group of a tile's first row serves all of it.
ARROWMIND_KERNEL(kAttendThreads, attention_rows, const float* qkv, const int32_t* offsets,
                 const int32_t* sequence_of, float* out, AttentionParameters p) {
  ARROWMIND_TILE_MEMORY(memory);
  OwnSequence own(qkv, offsets, sequence_of, p);
  float* to = out + own.row * uint64_t{p.out_stride} + own.head * p.head_dim;
  const uint32_t most_rows = p.head_dim > kMostTileDims ? 1 : tile_rows(p.head_dim);
  if (own.index % most_rows != 0) return;
  own.rows.count = least(most_rows, own.length - own.index);
  if (own.rows.count == 1) {
    return attend(own.keys, own.rows.first(0), own.rows.end(0), p.head_dim, {memory.weights, memory.largest},
                  to);
  }
  const uint32_t padded = ceil_of(p.head_dim, 4) * 4;
  for (uint32_t i = warp(); i < own.rows.count; i += kAttendWarps) {
    for (uint32_t d = lane(); d < padded; d += 32)
      memory.queries[i * padded + d] =
          d < p.head_dim ? own.keys.q[i * uint64_t{p.in_stride} + d] * own.keys.scale : 0.0f;
  }
  attend_tile(own.keys, own.rows, p.head_dim, memory);
  for (uint32_t i = warp(); i < own.rows.count; i += kAttendWarps) {
    for (uint32_t d = lane(); d < p.head_dim; d += 32)
      to[i * uint64_t{p.out_stride} + d] = memory.sums[i * padded + d];
  }
}
