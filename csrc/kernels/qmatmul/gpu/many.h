#pragma once

// Many rows: products of small matrices (device/gpu/matrices.h). A group has 128 outputs of 32 rows: each of
// its four warps two panels, all the same rows. Weights go from memory straight into the registers of the
// products: lane 4 g + t reads 16 bytes, four outputs 4 (g % 4) to 4 (g % 4) + 3 of panel g / 4 of the warp's
// two, of the t-th of every four fours of k; the first two outputs are rows g and g + 8 of one product, the
// others of a second. Rows of activations are columns of b: brought into memory of the group in the order of
// lanes, 64 k at a time. Numbers are taken apart into so many bfloat16: three keep float32's accuracy, one is
// the number rounded (linear_bf16_*), for a third of the products.

#include "kernels/qmatmul/gpu/few.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kTileRows = 32, kTileOutputs = 128;
constexpr uint32_t kColumns = kTileRows / 8;  // products side by side
constexpr uint32_t kStepK = 16, kChunkSteps = 4, kChunkK = kStepK * kChunkSteps;

// Where a lane stands.
struct Standing {
  uint32_t panel, chunk, slot, first_row;
  bool is_there;  // its panel is
  ARROWMIND_DEVICE explicit Standing(const Linear& l, uint32_t outputs = kTileOutputs,
                                     uint32_t rows = kTileRows)
      : panel(group_x() * (outputs / kPanel) + 2 * warp() + (lane() >> 4)),
        chunk(lane() >> 2 & 3),
        slot(lane() & 3),
        first_row(l.tile * rows),
        is_there(panel * kPanel < l.p.n) {}
  ARROWMIND_DEVICE uint32_t place(int output) const { return 4 * chunk + output; }
  ARROWMIND_DEVICE uint32_t n(int output) const { return panel * kPanel + place(output); }
  // Of the elements 0 and 1 of a product.
  ARROWMIND_DEVICE uint32_t row(uint32_t column, int element) const {
    return first_row + 8 * column + 2 * slot + element;
  }
};

// A number as bfloat16 parts, 8 bits each, the largest first: three add up to it, one is the nearest.
template <int kParts>
struct Parts {
  uint32_t bits[kParts];  // in the upper halves
};
template <int kParts>
ARROWMIND_DEVICE Parts<kParts> parts_of(float x) {
  static_assert(kParts == 1 || kParts == 3);
  if constexpr (kParts == 1) {
    return {{rounded_bf16(x)}};
  } else {
    const uint32_t bits = bits_of(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) {  // the others would make a NaN of an infinity
      return {{(bits & 0xffff0000u) | ((bits & 0x7fffffu) != 0 ? 0x400000u : 0u), 0, 0}};
    }
    const uint32_t first = bits & 0xffff0000u;
    const float rest = x - float_of(first);
    const uint32_t second = bits_of(rest) & 0xffff0000u;
    return {{first, second, bits_of(rest - float_of(second))}};
  }
}
ARROWMIND_DEVICE uint32_t pair_of(uint32_t low, uint32_t high) {
  return low >> 16 | (high & 0xffff0000u);
}

// bfloat16 numbers of a weight, beside so many of an activation.
template <class W, int kParts>
constexpr int kWeightParts = kParts == 1 ? 1 : static_cast<int>(W::kTerms);

// Activations of a chunk of k in the order of lanes: [part][step][column][lane].
struct alignas(8) Fragment {
  uint32_t word[2];
};
template <int kParts>
using FloatChunk = Fragment[kParts][kChunkSteps][kColumns][32];

template <int kParts>
ARROWMIND_DEVICE void bring_floats(const Linear& l, uint32_t first_row, uint32_t first_k,
                                   FloatChunk<kParts>& chunk) {
  const bool whole = l.p.a_stride % 4 == 0;
  for (uint32_t i = thread(); i < kTileRows * kChunkK / 4; i += kLinearThreads) {
    const uint32_t row = i / (kChunkK / 4), four = i % (kChunkK / 4);
    float a[4] = {};
    if (first_row + row < l.p.rows) {
      read_activations(l.a_row(first_row + row), first_k + 4 * four, l.p.k, whole, a);
    }
    Parts<kParts> parts[4];
    ARROWMIND_UNROLL
    for (int j = 0; j < 4; ++j) parts[j] = parts_of<kParts>(a[j]);
    const uint32_t to = 4 * (row % 8) + four % 4;
    ARROWMIND_UNROLL
    for (int part = 0; part < kParts; ++part) {
      chunk[part][four / 4][row / 8][to] = {{pair_of(parts[0].bits[part], parts[1].bits[part]),
                                             pair_of(parts[2].bits[part], parts[3].bits[part])}};
    }
  }
}

// Sums [product of outputs][columns][element] of a lane.
using Sums = float[2][kColumns][4];

// Parts of the weights of four outputs for two products, as they want them.
template <class W, int kTerms>
ARROWMIND_DEVICE void put_weights(const float (&values)[4][4], uint32_t (&a)[kTerms][2][4]) {
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    Parts<kTerms == 1 ? 1 : 3> parts[4];
    ARROWMIND_UNROLL
    for (int i = 0; i < 4; ++i) {
      if constexpr (W::kTerms == 1) {
        parts[i].bits[0] = bits_of(values[e][i]);
      } else {
        parts[i] = parts_of<kTerms == 1 ? 1 : 3>(values[e][i]);
      }
    }
    ARROWMIND_UNROLL
    for (int term = 0; term < kTerms; ++term) {
      a[term][e / 2][e % 2] = pair_of(parts[0].bits[term], parts[1].bits[term]);
      a[term][e / 2][e % 2 + 2] = pair_of(parts[2].bits[term], parts[3].bits[term]);
    }
  }
}

template <int kTerms, int kParts>
ARROWMIND_DEVICE void multiply_step(const uint32_t (&a)[kTerms][2][4], const FloatChunk<kParts>& chunk,
                                    uint32_t step, Sums& sums) {
  ARROWMIND_UNROLL
  for (uint32_t column = 0; column < kColumns; ++column) {
    ARROWMIND_UNROLL
    for (int part = kParts - 1; part >= 0; --part) {  // the smallest products first
      const Fragment b = chunk[part][step][column][lane()];
      ARROWMIND_UNROLL
      for (int term = kTerms - 1; term >= 0; --term) {
        if (part + term > 2) continue;  // below the last bit of the others
        multiply_bf16(sums[0][column], a[term][0], b.word);
        multiply_bf16(sums[1][column], a[term][1], b.word);
      }
    }
  }
}

// The sums of a group of k, times its scales, go to `out`.
template <class W>
ARROWMIND_DEVICE void fold_group_sums(const Linear& l, const Standing& at, uint32_t group, Sums& sums,
                                      Sums& out) {
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    const float scale = at.is_there ? scale_of<W>(l, at.panel, group, at.place(e)) : 0.0f;
    ARROWMIND_UNROLL
    for (uint32_t column = 0; column < kColumns; ++column) {
      ARROWMIND_UNROLL
      for (int i = 0; i < 2; ++i) {
        float& sum = sums[e / 2][column][e % 2 * 2 + i];
        float& to = out[e / 2][column][e % 2 * 2 + i];
        to = fused(sum, scale, to);
        sum = 0.0f;
      }
    }
  }
}

// Zero points of int8 weights: what lies within the codes is taken off them, exactly; the rest, of few models
// if any, off the sums.
template <class W>
ARROWMIND_DEVICE float inner_zero(float zero) {
  return W::kScaling == 1 ? least(127.0f, most(-128.0f, zero)) : zero;
}

ARROWMIND_DEVICE float sum_of_row(const Linear& l, uint32_t row) {
  float sum = 0.0f;
  for (uint32_t k = 0; k < l.p.k && row < l.p.rows; ++k) sum += l.a_row(row)[k];
  return sum;
}

template <class W>
ARROWMIND_DEVICE void finish_tile(const Linear& l, const Standing& at, const float (&zeros)[4],
                                  const Sums& out) {
  if (!at.is_there) return;
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    const float scale = W::kScaling == 1 ? scale_of<W>(l, at.panel, 0, at.place(e)) : 1.0f;
    const float rest = W::kScaling == 1 ? zeros[e] - inner_zero<W>(zeros[e]) : 0.0f;
    ARROWMIND_UNROLL
    for (uint32_t column = 0; column < kColumns; ++column) {
      ARROWMIND_UNROLL
      for (int i = 0; i < 2; ++i) {
        const uint32_t row = at.row(column, i);
        float value = out[e / 2][column][e % 2 * 2 + i];
        if (rest != 0.0f) value = fused(0.0f - rest, sum_of_row(l, row), value);
        finish(l, row, at.n(e), W::kScaling == 1 ? value * scale : value);
      }
    }
  }
}

// Float activations, in so many parts.
template <class W, int kParts = 3>
ARROWMIND_DEVICE void many_floats(const Linear& l) {
  ARROWMIND_SHARED(uint8_t, table, W::kTable + 4);
  ARROWMIND_SHARED(FloatChunk<kParts>, chunks, 1);
  const LinearParameters& p = l.p;
  const Standing at(l);
  const uint32_t bits = group_bits(p.group), end = ceil_of(p.k, kStepK) * kStepK;
  const uint64_t stride = panel_units<W>(p);
  float zeros[4] = {};
  uint32_t known = 0xffffffffu;  // the group whose zero points these are
  Sums sums = {}, out = {};
  W::fill_table(table);
  for (uint32_t first_k = 0; first_k < end; first_k += kChunkK) {
    barrier();
    bring_floats<kParts>(l, at.first_row, first_k, chunks[0]);
    barrier();
    for (uint32_t step = 0; step < kChunkSteps && first_k + step * kStepK < end; ++step) {
      const uint32_t k = first_k + step * kStepK, four = k / 4 + at.slot, group = k >> bits;
      float values[4][4] = {};
      if (at.is_there && 4 * four < p.k) {
        const typename W::Words words = W::load(l.w, stride, at.panel, four / W::kFours, at.chunk);
        ARROWMIND_UNROLL
        for (int e = 0; e < 4; ++e) {
          if (group != known) zeros[e] = zero_of<W>(l, at.panel, group, at.place(e));
          values_of<W>(words, e, four % W::kFours, table, inner_zero<W>(zeros[e]), values[e]);
        }
        known = group;
      }
      uint32_t a[kWeightParts<W, kParts>][2][4];
      put_weights<W>(values, a);
      multiply_step<kWeightParts<W, kParts>, kParts>(a, chunks[0], step, sums);
      const uint32_t next = k + kStepK;
      if (W::kScaling == 2 && (next >= end || next >> bits != group))
        fold_group_sums<W>(l, at, group, sums, out);
    }
  }
  finish_tile<W>(l, at, zeros, W::kScaling == 2 ? out : sums);
}

}  // namespace arrowmind::device::gpu
