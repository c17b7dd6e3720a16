#pragma once

// Attention of several rows of a sequence by one group: keys and values are brought to memory of the group
// once for all of them. Each row's sums run in the order of gpu_attend.h, so the bits are the same: scores
// over dimensions one after the other, exponentials in 16 lanes, values over keys one after the other.
//
// As a row's largest score is wanted before its first exponential, keys pass by twice where there are more
// than the group has memory for scores of.

#include "kernels/attention/gpu_attend.h"

namespace arrowmind::device::gpu {

// Floats of rows of queries, of as many sums, of keys or values at a time, and of weights.
constexpr uint32_t kTileQueries = 2048, kTileKeys = 32 * 132, kTileWeights = 3840;
constexpr uint32_t kMostTileRows = 16, kMostTileDims = 1024;

// Rows that a group takes of heads of so many dimensions: 16, 8, 4 or 2; twice as many keys at a time.
ARROWMIND_DEVICE uint32_t tile_rows(uint32_t dims) {
  return dims <= 128 ? 16 : dims <= 256 ? 8 : dims <= 512 ? 4 : 2;
}

// Memory of the group.
struct TileMemory {
  float* queries;  // [rows][padded dims], scaled; behind dims zeros
  float* sums;     // likewise
  float* keys;     // [keys][padded dims + 4]; values in their turn
  float* weights;  // [keys][rows padded to 4]
  float* steps;    // [32]: what scores, or weights, of a key are multiplied by
  float* largest;  // [16], of rows; then 1 / their sums
};
#define ARROWMIND_TILE_MEMORY(name)                                  \
  ARROWMIND_SHARED(Four, name##_queries, kTileQueries / 4);          \
  ARROWMIND_SHARED(Four, name##_sums, kTileQueries / 4);             \
  ARROWMIND_SHARED(Four, name##_keys, kTileKeys / 4);                \
  ARROWMIND_SHARED(Four, name##_weights, kTileWeights / 4);          \
  ARROWMIND_SHARED(float, name##_steps, 2 * kMostTileRows);          \
  ARROWMIND_SHARED(float, name##_largest, kMostTileRows);            \
  const TileMemory name = {reinterpret_cast<float*>(name##_queries), \
                           reinterpret_cast<float*>(name##_sums),    \
                           reinterpret_cast<float*>(name##_keys),    \
                           reinterpret_cast<float*>(name##_weights), \
                           name##_steps,                             \
                           name##_largest}

// The rows of a tile: row i sees keys [first(i), end(i)).
struct TileRows {
  uint32_t count, end_of_first, step, window;  // step: 1, each row sees one more; 0: all see the same
  ARROWMIND_DEVICE uint32_t end(uint32_t row) const { return end_of_first + row * step; }
  ARROWMIND_DEVICE uint32_t first(uint32_t row) const {
    return window > 0 && end(row) > window ? end(row) - window : 0;
  }
  ARROWMIND_DEVICE bool sees(uint32_t row, uint32_t key) const {
    return row < count && key >= first(row) && key < end(row);
  }
  // Whether each sees all of keys [begin, begin + size).
  ARROWMIND_DEVICE bool all_see(uint32_t begin, uint32_t size) const {
    return begin >= first(count - 1) && begin + size <= end(0);
  }
};

// Sizes of a tile.
struct TileShape {
  uint32_t dims, rows, keys, padded, key_stride, quads, row_stride;
  ARROWMIND_DEVICE explicit TileShape(uint32_t own_dims)
      : dims(own_dims),
        rows(tile_rows(own_dims)),
        keys(2 * rows),
        padded(ceil_of(own_dims, 4) * 4),
        key_stride(padded + 4),
        quads(ceil_of(rows, 4)),
        row_stride(4 * quads) {}
};

// Scores of key `key` of those in memory, for four rows.
struct QuadScores {
  float of[4];
};
ARROWMIND_DEVICE QuadScores quad_scores(const TileShape& shape, const TileMemory& memory, uint32_t key,
                                        uint32_t quad) {
  QuadScores scores = {};
  const float* k = memory.keys + key * shape.key_stride;
  const float* q = memory.queries + 4 * quad * shape.padded;
  const uint32_t rows = least(4, shape.rows - 4 * quad);
  for (uint32_t d = 0; d < shape.padded; d += 4) {
    const Four own = *reinterpret_cast<const Four*>(k + d);
    ARROWMIND_UNROLL
    for (uint32_t row = 0; row < 4; ++row) {
      if (row >= rows) continue;
      const Four query = *reinterpret_cast<const Four*>(q + row * shape.padded + d);
      ARROWMIND_UNROLL
      for (int i = 0; i < 4; ++i)
        scores.of[row] = fused(float_of(query.word[i]), float_of(own.word[i]), scores.of[row]);
    }
  }
  return scores;
}

// sum + weights times values of dimension d, of the keys in memory, for four rows.
ARROWMIND_DEVICE void mix_quad(const TileShape& shape, const TileMemory& memory, const TileRows& rows,
                               const float* weights, uint32_t begin, uint32_t count, uint32_t quad,
                               uint32_t d) {
  const uint32_t own = least(4, shape.rows - 4 * quad);
  float sums[4] = {};
  ARROWMIND_UNROLL
  for (uint32_t row = 0; row < 4; ++row) {
    if (row < own) sums[row] = memory.sums[(4 * quad + row) * shape.padded + d];
  }
  const bool all_see = rows.all_see(begin, count);
  for (uint32_t i = 0; i < count; ++i) {
    const float value = memory.keys[i * shape.key_stride + d];
    const Four weight = *reinterpret_cast<const Four*>(weights + i * shape.row_stride + 4 * quad);
    ARROWMIND_UNROLL
    for (uint32_t row = 0; row < 4; ++row) {
      // What a row does not see may be a NaN, which no weight makes nothing of.
      if (all_see || rows.sees(4 * quad + row, begin + i))
        sums[row] = fused(float_of(weight.word[row]), value, sums[row]);
    }
  }
  ARROWMIND_UNROLL
  for (uint32_t row = 0; row < 4; ++row) {
    if (row < own) memory.sums[(4 * quad + row) * shape.padded + d] = sums[row];
  }
}

// memory.sums[row][d] = sum over the keys that a row sees of softmax(score) * value; memory.queries are
// there. Of `keys`:
//   bring_keys(begin, count, stride, to, steps)     keys from number `begin` on, and what their scores are
//   bring_values(...)                               multiplied by; of values, what their weights are
//   capped(score)                                   in units of log2 e
// Both leave columns behind the last as zeros.
template <class Keys>
ARROWMIND_DEVICE void attend_tile(const Keys& keys, const TileRows& rows, uint32_t dims,
                                  const TileMemory& memory) {
  const TileShape shape(dims);
  const uint32_t first = rows.first(0) / 16 * 16, end = rows.end(rows.count - 1);
  const bool held = (end - first) * shape.row_stride <= kTileWeights;
  const uint32_t quad = warp(), own_key = lane();
  const bool has_scores = own_key < shape.keys && quad < shape.quads;
  const auto weight_at = [&](uint32_t begin) {
    return memory.weights + (held ? begin - first : 0) * shape.row_stride;
  };
  // Scores of a piece of keys, by the threads that have one.
  const auto score = [&](uint32_t count) {
    QuadScores scores = {};
    if (!has_scores || own_key >= count) return scores;
    scores = quad_scores(shape, memory, own_key, quad);
    ARROWMIND_UNROLL
    for (int row = 0; row < 4; ++row) scores.of[row] = keys.capped(scores.of[row] * memory.steps[own_key]);
    return scores;
  };
  const auto bring_keys = [&](uint32_t begin, uint32_t count) {
    barrier();
    keys.bring_keys(begin, count, shape.key_stride, memory.keys, memory.steps);
    barrier();
  };

  for (uint32_t i = thread(); i < shape.rows * shape.padded; i += kAttendThreads) memory.sums[i] = 0.0f;
  float largest[4];
  ARROWMIND_UNROLL
  for (int row = 0; row < 4; ++row) largest[row] = -__builtin_huge_valf();
  for (uint32_t begin = first; begin < end; begin += shape.keys) {
    const uint32_t count = least(shape.keys, end - begin);
    bring_keys(begin, count);
    const QuadScores scores = score(count);
    if (!has_scores || own_key >= count) continue;
    ARROWMIND_UNROLL
    for (uint32_t row = 0; row < 4; ++row) {
      if (rows.sees(4 * quad + row, begin + own_key)) largest[row] = most(largest[row], scores.of[row]);
      if (held) weight_at(begin)[own_key * shape.row_stride + 4 * quad + row] = scores.of[row];
    }
  }
  ARROWMIND_UNROLL
  for (int row = 0; row < 4; ++row) largest[row] = warp_most(largest[row]);

  float lane_sums[2] = {};  // of rows thread / 16 and that plus 8, of keys thread % 16 and every 16th more
  for (uint32_t begin = first; begin < end; begin += shape.keys) {
    const uint32_t count = least(shape.keys, end - begin);
    float* weights = weight_at(begin);
    if (!held) bring_keys(begin, count);
    const QuadScores scores = held ? QuadScores() : score(count);
    if (has_scores && own_key < count) {
      ARROWMIND_UNROLL
      for (uint32_t row = 0; row < 4; ++row) {
        float& weight = weights[own_key * shape.row_stride + 4 * quad + row];
        const float own = held ? weight : scores.of[row];
        weight = rows.sees(4 * quad + row, begin + own_key) ? exp2_not_positive(own - largest[row]) : 0.0f;
      }
    }
    barrier();
    keys.bring_values(begin, count, shape.key_stride, memory.keys, memory.steps);
    ARROWMIND_UNROLL
    for (uint32_t half = 0; half < 2; ++half) {
      const uint32_t row = thread() / 16 + 8 * half;
      for (uint32_t i = (thread() - begin) % 16; i < count && row < shape.rows; i += 16)
        lane_sums[half] += weights[i * shape.row_stride + row];
    }
    barrier();
    if (keys.has_steps()) {
      for (uint32_t i = thread(); i < count * shape.row_stride; i += kAttendThreads)
        weights[i] = weights[i] * memory.steps[i / shape.row_stride];
      barrier();
    }
    for (uint32_t i = thread(); i < dims * shape.quads; i += kAttendThreads)
      mix_quad(shape, memory, rows, weights, begin, count, i / dims, i % dims);
  }
  ARROWMIND_UNROLL
  for (uint32_t half = 0; half < 2; ++half) {
    for (int step = 8; step > 0; step /= 2) lane_sums[half] += shuffle_xor(lane_sums[half], step);
    const uint32_t row = thread() / 16 + 8 * half;
    if (thread() % 16 == 0) memory.largest[row] = 1.0f / lane_sums[half];
  }
  barrier();
  for (uint32_t i = thread(); i < rows.count * shape.padded; i += kAttendThreads)
    memory.sums[i] = memory.sums[i] * memory.largest[i / shape.padded];
  barrier();
}

}  // namespace arrowmind::device::gpu
