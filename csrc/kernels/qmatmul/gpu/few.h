#pragma once

// A few rows: the time is that of reading the weights, so each is read once, 16 bytes at a time. A group has
// a panel: thread i takes four outputs, and every 32nd unit of k from the (i / 4)-th on; what the threads
// have is added up at the end.

#include "kernels/qmatmul/gpu/linear.h"
#include "kernels/qmatmul/gpu/weights.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kUnitStep = kLinearThreads / 4;

ARROWMIND_DEVICE void read_activations(const float* a, uint32_t k, uint32_t end, bool whole,
                                       float (&out)[4]) {
  if (whole && k + 4 <= end) {
    const Four four = read_four(a + k);
    ARROWMIND_UNROLL
    for (int i = 0; i < 4; ++i) out[i] = float_of(four.word[i]);
  } else {
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < 4; ++i) out[i] = k + i < end ? a[k + i] : 0.0f;
  }
}

// Sums of all threads with the same four outputs; thread 16 row + output gets its own.
template <int kRows, class T>
ARROWMIND_DEVICE T gathered(T (&sums)[kRows][4], T (*scratch)[kRows][kPanel]) {
  ARROWMIND_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ARROWMIND_UNROLL
    for (int e = 0; e < 4; ++e) {
      T sum = sums[row][e];
      for (int step = 4; step < 32; step *= 2) sum += shuffle_xor(sum, step);
      if (lane() < 4) scratch[warp()][row][4 * lane() + e] = sum;
    }
  }
  barrier();
  T total = 0;
  const uint32_t row = thread() / kPanel;
  if (row < kRows) {
    for (uint32_t i = 0; i < kLinearWarps; ++i) total += scratch[i][row][thread() % kPanel];
  }
  return total;
}

// Units that a thread asks for before it uses the first: of one row there are registers for several, and more
// bytes on their way are what memory wants.
template <class W, int kRows>
constexpr uint32_t kUnitsAhead = kRows > 1                        ? 1
                                 : sizeof(typename W::Words) > 32 ? 2
                                                                  : 4;

// use(words, unit) for each unit of this thread.
template <class W, uint32_t kAhead, class Use>
ARROWMIND_DEVICE void each_unit(const Linear& l, uint32_t units, Use use) {
  const uint64_t stride = panel_units<W>(l.p);
  const uint32_t panel = group_x(), chunk = thread() & 3;
  for (uint32_t first = thread() / 4; first < units; first += kAhead * kUnitStep) {
    typename W::Words words[kAhead];
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < kAhead; ++i) {
      const uint32_t unit = first + i * kUnitStep;
      if (unit < units) words[i] = W::load(l.w, stride, panel, unit, chunk);
    }
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < kAhead; ++i) {
      const uint32_t unit = first + i * kUnitStep;
      if (unit < units) use(words[i], unit);
    }
  }
}

// Adds the products of fours [first, first + kFours) of k of a unit, which have one scale.
template <class W, int kRows, uint32_t kFours>
ARROWMIND_DEVICE void add_segment(const Linear& l, const typename W::Words& words, const uint8_t* table,
                                  uint32_t unit, uint32_t first, uint32_t group, float (&sums)[kRows][4]) {
  const uint32_t panel = group_x(), chunk = thread() & 3, first_row = l.tile * kFewRows;
  const bool whole = l.p.a_stride % 4 == 0;
  float zeros[4], partial[kRows][4] = {};
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) zeros[e] = zero_of<W>(l, panel, group, 4 * chunk + e);
  ARROWMIND_UNROLL
  for (uint32_t place = first; place < first + kFours; ++place) {
    float w[4][4], a[4];
    ARROWMIND_UNROLL
    for (int e = 0; e < 4; ++e) values_of<W>(words, e, place, table, zeros[e], w[e]);
    ARROWMIND_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const uint32_t own = least(first_row + row, l.p.rows - 1);
      read_activations(l.a_row(own), 4 * (unit * W::kFours + place), l.p.k, whole, a);
      ARROWMIND_UNROLL
      for (int e = 0; e < 4; ++e) {
        ARROWMIND_UNROLL
        for (int i = 0; i < 4; ++i) partial[row][e] = fused(a[i], w[e][i], partial[row][e]);
      }
    }
  }
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    const float scale = W::kScaling == 2 ? scale_of<W>(l, panel, group, 4 * chunk + e) : 1.0f;
    ARROWMIND_UNROLL
    for (int row = 0; row < kRows; ++row) sums[row][e] = fused(partial[row][e], scale, sums[row][e]);
  }
}

// Float activations.
template <class W, int kRows>
ARROWMIND_DEVICE void few_rows(const Linear& l) {
  ARROWMIND_SHARED(uint8_t, table, W::kTable + 4);
  ARROWMIND_SHARED(float, scratch, kLinearWarps * kRows * kPanel);
  constexpr uint32_t kSegment = W::kFours < 4 ? W::kFours : 4;  // fours of k with one scale
  const uint32_t bits = group_bits(l.p.group);
  if (W::kTable != 0) {
    W::fill_table(table);
    barrier();
  }
  float sums[kRows][4] = {};
  each_unit<W, kUnitsAhead<W, kRows>>(
      l, ceil_of(l.p.k, 4 * W::kFours), [&](const typename W::Words& words, uint32_t unit) {
        ARROWMIND_UNROLL
        for (uint32_t segment = 0; segment < W::kFours; segment += kSegment) {
          const uint32_t k = 4 * (unit * W::kFours + segment);
          if (k < l.p.k) add_segment<W, kRows, kSegment>(l, words, table, unit, segment, k >> bits, sums);
        }
      });
  const float sum = gathered<kRows>(sums, reinterpret_cast<float (*)[kRows][kPanel]>(scratch));
  const uint32_t row = thread() / kPanel, place = thread() % kPanel, panel = group_x();
  if (row >= kRows) return;
  finish(l, l.tile * kFewRows + row, panel * kPanel + place,
         W::kScaling == 1 ? sum * scale_of<W>(l, panel, 0, place) : sum);
}

// int8 weights and activations: exact sums, and the value as the CPU computes it.
template <int kRows>
ARROWMIND_DEVICE void few_integer_rows(const Linear& l) {
  ARROWMIND_SHARED(int32_t, scratch, kLinearWarps * kRows * kPanel);
  const uint32_t first_row = l.tile * kFewRows;
  int32_t sums[kRows][4] = {};
  each_unit<I8Weights, kUnitsAhead<I8Weights, kRows>>(
      l, ceil_of(l.p.k, 4), [&](const Four& words, uint32_t unit) {
        ARROWMIND_UNROLL
        for (int row = 0; row < kRows; ++row) {
          const uint32_t a = l.a_words(least(first_row + row, l.p.rows - 1))[unit];
          ARROWMIND_UNROLL
          for (int e = 0; e < 4; ++e) sums[row][e] = dot4(words.word[e], a, sums[row][e]);
        }
      });
  const int32_t sum = gathered<kRows>(sums, reinterpret_cast<int32_t (*)[kRows][kPanel]>(scratch));
  const uint32_t row = first_row + thread() / kPanel, n = group_x() * kPanel + thread() % kPanel;
  if (thread() / kPanel < kRows) finish(l, row, n, dequantised(l, row, n, sum));
}

// The part of a word that begins at a bit, with its sign.
template <int kBits>
ARROWMIND_DEVICE int32_t signed_part(uint32_t word, int first) {
  return static_cast<int32_t>(word << (32 - kBits - first)) >> (32 - kBits);
}

// int8 weights, int16 activations, whose codes are so bounded that the sum fits; any number of rows.
template <int kRows>
ARROWMIND_DEVICE void few_word_rows(const Linear& l) {
  const LinearParameters& p = l.p;
  const uint32_t panel = group_x(), chunk = thread() & 3, first_row = l.tile * kFewRows;
  const uint32_t units = ceil_of(p.k, 4);
  int32_t sums[kRows][4] = {};
  for (uint32_t unit = thread() / 4; unit < units; unit += kUnitStep) {
    const Four words = I8Weights::load(l.w, units, panel, unit, chunk);
    ARROWMIND_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const uint32_t* pairs = l.a_pairs(least(first_row + row, p.rows - 1)) + 2 * unit;
      ARROWMIND_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int32_t code = signed_part<16>(pairs[i / 2], 16 * (i % 2));
        ARROWMIND_UNROLL
        for (int e = 0; e < 4; ++e) sums[row][e] += code * signed_part<8>(words.word[e], 8 * i);
      }
    }
  }
  ARROWMIND_SHARED(int32_t, scratch, kLinearWarps * kRows * kPanel);
  const int32_t sum = gathered<kRows>(sums, reinterpret_cast<int32_t (*)[kRows][kPanel]>(scratch));
  const uint32_t row = first_row + thread() / kPanel, n = panel * kPanel + thread() % kPanel;
  if (thread() / kPanel < kRows) finish(l, row, n, dequantised(l, row, n, sum));
}

// Parts whose sums a group holds at a time.
constexpr uint32_t kPartsHeld = 32;

// Codes of activations in blocks: exact sums of each part, then the floats in the order of k.
template <class W>
ARROWMIND_DEVICE void few_block_rows(const Linear& l) {
  ARROWMIND_SHARED(uint8_t, table, W::kTable + 4);
  ARROWMIND_SHARED(int32_t, held, kPartsHeld * kFewRows * kPanel);
  auto* sums = reinterpret_cast<int32_t (*)[kFewRows][kPanel]>(held);
  constexpr uint32_t kSegment = W::kFours < 4 ? W::kFours : 4;  // fours of k that are of one part
  const LinearParameters& p = l.p;
  const uint32_t panel = group_x(), chunk = thread() & 3, first_row = l.tile * kFewRows;
  const uint32_t rows = least(kFewRows, p.rows - first_row);
  const uint32_t part_bits = group_bits(p.part), per_block = p.block / p.part;
  const uint32_t own_row = first_row + thread() / kPanel, own_place = thread() % kPanel;
  const uint64_t stride = panel_units<W>(p);
  W::fill_table(table);
  float out = 0.0f, value = 0.0f;
  for (uint32_t first = 0; first < p.parts; first += kPartsHeld) {
    const uint32_t count = least(kPartsHeld, p.parts - first);
    for (uint32_t i = thread(); i < count * kFewRows * kPanel; i += kLinearThreads) held[i] = 0;
    barrier();
    const uint32_t end = (first + count) * p.part / (4 * W::kFours);
    for (uint32_t unit = first * p.part / (4 * W::kFours) + thread() / 4; unit < end; unit += kUnitStep) {
      const typename W::Words words = W::load(l.w, stride, panel, unit, chunk);
      ARROWMIND_UNROLL
      for (uint32_t segment = 0; segment < W::kFours; segment += kSegment) {
        const uint32_t four = unit * W::kFours + segment, part = (4 * four >> part_bits) - first;
        uint32_t w[kSegment][4];
        ARROWMIND_UNROLL
        for (uint32_t i = 0; i < kSegment; ++i) {
          ARROWMIND_UNROLL
          for (int e = 0; e < 4; ++e) w[i][e] = W::four(words, e, segment + i, table);
        }
        for (uint32_t row = 0; row < rows; ++row) {
          int32_t dots[4] = {};
          ARROWMIND_UNROLL
          for (uint32_t i = 0; i < kSegment; ++i) {
            const uint32_t a = l.a_words(first_row + row)[four + i];
            ARROWMIND_UNROLL
            for (int e = 0; e < 4; ++e) dots[e] = dot4(w[i][e], a, dots[e]);
          }
          ARROWMIND_UNROLL
          for (int e = 0; e < 4; ++e) add_shared(&sums[part][row][4 * chunk + e], dots[e]);
        }
      }
    }
    barrier();
    if (own_row < p.rows) {
      for (uint32_t i = 0; i < count; ++i) {
        const Part part = {first + i, per_block};
        const float scale = scale_of<W>(l, panel, part.number, own_place);
        const float zero = zero_of<W>(l, panel, part.number, own_place);
        fold_part(l, part, scale, zero, own_row, sums[i][thread() / kPanel][own_place], &value, &out);
      }
    }
    barrier();
  }
  finish(l, own_row, panel * kPanel + own_place, out);
}

// The choice of how many rows a thread has sums for.
template <class W>
ARROWMIND_DEVICE void few_floats(const Linear& l) {
  if (l.p.rows == 1) return few_rows<W, 1>(l);
  if (l.p.rows <= 4) return few_rows<W, 4>(l);
  few_rows<W, 8>(l);
}
ARROWMIND_DEVICE void few_words(const Linear& l) {
  if (l.p.rows == 1) return few_word_rows<1>(l);
  if (l.p.rows <= 4) return few_word_rows<4>(l);
  few_word_rows<8>(l);
}
ARROWMIND_DEVICE void few_integers(const Linear& l) {
  if (l.p.rows == 1) return few_integer_rows<1>(l);
  if (l.p.rows <= 4) return few_integer_rows<4>(l);
  few_integer_rows<8>(l);
}

}  // namespace arrowmind::device::gpu
