#pragma once

// Large products, one bfloat16 of each number: a group has 256 outputs of 128 rows, each of its eight warps
// two panels and all rows. A weight that has been made a number meets 128 rows, and what memory brings is
// used 128 and 256 times; with 32 rows the making takes longer than the products.
//
// As in many.h, weights go from memory to the registers of products and activations through memory of the
// group, 64 k at a time: the next are on their way while these are multiplied. A lane takes whole units of
// weights: of k its t-th part of four of 16 x kUnitFours, which is a matter of order alone. Scales of grids
// are multiplied into the weights, as registers for two kinds of sums there are none; the product is rounded
// to bfloat16 (exact for float4 with scales of a few bits).

#include "kernels/qmatmul/gpu/many.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kWideThreads = 256, kWideRows = 128, kWideOutputs = 256;
constexpr uint32_t kWideColumns = kWideRows / 8;
constexpr uint32_t kChunkFours = kChunkK / 4;

// Fours of k of a unit that a lane takes one after the other.
template <class W>
constexpr uint32_t kUnitFours = W::kFours < 4 ? W::kFours : 4;

// Activations of a chunk of k in the order of lanes; a step begins one fragment later than the one before
// would have it, so that what a warp writes lies in different banks.
using WideChunk = Fragment[kChunkSteps][kWideColumns * 32 + 1];
using WideSums = float[2][kWideColumns][4];

// The number of a byte as raised_byte() makes it has 2^23 too much, and a signed one 128.
template <class W>
constexpr float kByteBase = 8388608.0f + (W::kSigned ? 128.0f : 0.0f);

// Sums of 32 rows on their way out, in the same memory; padded so that lanes write to different banks.
constexpr uint32_t kOutRows = 32, kOutStride = kWideOutputs + 4;
constexpr uint32_t kWideBytes = kOutRows * kOutStride * 4;
static_assert(2 * sizeof(WideChunk) <= kWideBytes);

// Activations on their way from memory: a half of those of a chunk, four fours of this thread. Of rows behind
// the last, which nobody asks for, the last once more.
template <class W>
struct Coming {
  float a[4][4];

  ARROWMIND_DEVICE static uint32_t four() { return 4 * (warp() & 3) + (lane() & 3); }
  ARROWMIND_DEVICE static uint32_t column(uint32_t half, uint32_t i) {
    return (warp() >> 2) + 2 * (4 * half + i);
  }

  ARROWMIND_DEVICE void ask(const Linear& l, uint32_t first_row, uint32_t first_k, uint32_t half) {
    const bool whole = l.p.a_stride % 4 == 0, inside = whole && first_k + kChunkK <= l.p.k;
    const float* first = static_cast<const float*>(l.a) + first_k + 4 * four();
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t row = least(first_row + 8 * column(half, i) + (lane() >> 2), l.p.rows - 1);
      const float* from = first + row * uint64_t{l.p.a_stride};
      if (inside) {
        const Four four = read_four(from);
        ARROWMIND_UNROLL
        for (uint32_t j = 0; j < 4; ++j) a[i][j] = float_of(four.word[j]);
      } else {
        read_activations(from, 0, l.p.k - least(l.p.k, first_k + 4 * Coming::four()), whole, a[i]);
      }
    }
  }
  ARROWMIND_DEVICE void put(WideChunk& chunk, uint32_t half) const {
    constexpr uint32_t kUnit = kUnitFours<W>;
    const uint32_t step = four() / (4 * kUnit) * kUnit + four() % kUnit;
    const uint32_t to = 4 * (lane() >> 2) + four() / kUnit % 4;
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      chunk[step][column(half, i) * 32 + to] = {{bf16_pair(a[i][0], a[i][1]), bf16_pair(a[i][2], a[i][3])}};
    }
  }
};

// A unit of weights as memory has it, with the scales and zero points of its four outputs, of a grid.
template <class W>
struct WideUnit {
  typename W::Words words;
  Four scales;
  uint32_t zeros;

  ARROWMIND_DEVICE void ask(const Linear& l, const Standing& at, uint64_t stride, uint32_t four,
                            uint32_t bits) {
    words = {};
    scales = {};
    zeros = 0;
    if (!at.is_there || 4 * four >= l.p.k) return;
    words = W::load(l.w, stride, at.panel, four / W::kFours, at.chunk);
    if constexpr (W::kScaling == 2) {
      const uint32_t group = least(4 * four >> bits, l.p.groups - 1);
      const uint64_t index = (at.panel * uint64_t{l.p.groups} + group) * 4 + at.chunk;  // of fours
      scales = stored_four(l.p.scale_type, l.w_scale, index);
      if (l.has(kHasZeros)) zeros = static_cast<const uint32_t*>(l.w_zero)[index];
    }
  }
};

// What levels of four outputs are multiplied by, and what is added then.
struct WideScales {
  float scale[4], shift[4];

  template <class W>
  ARROWMIND_DEVICE void take(const Linear& l, const WideUnit<W>& unit, const float (&outer)[4]) {
    scales_in(l.p.scale_type, unit.scales, scale);
    ARROWMIND_UNROLL
    for (int e = 0; e < 4; ++e) {
      const float zero = l.has(kHasZeros) ? float_of_byte(unit.zeros, e) * W::kZeroStep : W::kOffset;
      scale[e] = scale[e] * outer[e];
      shift[e] = 0.0f - zero * scale[e];
    }
  }
};

// Weights of a step: those of place `place` of a unit.
template <class W>
ARROWMIND_DEVICE void put_wide(const WideUnit<W>& unit, const WideScales& scales, uint32_t place,
                               const uint8_t* table, uint32_t (&a)[2][4]) {
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    float values[4];
    if constexpr (W::kScaling == 0) {
      values_of<W>(unit.words, e, place, table, 0.0f, values);
    } else {
      const uint32_t bytes = W::four(unit.words, e, place, table) ^ (W::kSigned ? 0x80808080u : 0u);
      ARROWMIND_UNROLL
      for (int i = 0; i < 4; ++i) {
        // Of int8 the zero point is whole, and taken off with what made a float of the byte.
        if constexpr (W::kScaling == 1) {
          values[i] = raised_byte(bytes, i) - scales.shift[e];
        } else {
          const float level = raised_byte(bytes, i) - kByteBase<W>;
          values[i] = fused(level, scales.scale[e], scales.shift[e]);
        }
      }
    }
    a[e / 2][e % 2] = bf16_pair(values[0], values[1]);
    a[e / 2][e % 2 + 2] = bf16_pair(values[2], values[3]);
  }
}

// What of the zero point of int8 weights is taken off codes.
ARROWMIND_DEVICE float whole_zero(float zero) {
  return round_even(least(127.0f, most(-128.0f, zero)));
}

// What scales of groups are multiplied by, of four outputs; and the whole zero points of int8 weights.
template <class W>
ARROWMIND_DEVICE void outer_of(const Linear& l, const Standing& at, WideScales& scales, float (&outer)[4]) {
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    outer[e] = W::kUnit;
    if (!at.is_there) continue;
    if (W::kScaling == 2 && l.has(kHasOuter)) outer[e] = l.outer[at.n(e)] * W::kUnit;
    if (W::kScaling == 1)
      scales.shift[e] = kByteBase<W> + whole_zero(zero_of<W>(l, at.panel, 0, at.place(e)));
  }
}

ARROWMIND_DEVICE void multiply_wide(const uint32_t (&a)[2][4], const Fragment* rows, WideSums& sums) {
  ARROWMIND_UNROLL
  for (uint32_t column = 0; column < kWideColumns; ++column) {
    const Fragment b = rows[column * 32 + lane()];
    multiply_bf16(sums[0][column], a[0], b.word);
    multiply_bf16(sums[1][column], a[1], b.word);
  }
}

// Sums become results by way of memory of the group: a thread finishes an output, rows one after the other,
// so that those beside each other write beside each other.
template <class W>
ARROWMIND_DEVICE void finish_wide(const Linear& l, const Standing& at, const WideSums& sums, float* memory) {
  const uint32_t place = thread() % kPanel, panel = (group_x() * kWideOutputs + thread()) / kPanel;
  const uint32_t n = panel * kPanel + place, first = 32 * warp() + 16 * (lane() >> 4) + 4 * at.chunk;
  const bool is_there = n < l.p.n;
  const float scale = W::kScaling == 1 && is_there ? scale_of<W>(l, panel, 0, place) : 1.0f;
  const float zero = W::kScaling == 1 && is_there ? zero_of<W>(l, panel, 0, place) : 0.0f;
  const float rest = zero - whole_zero(zero);
  ARROWMIND_UNROLL
  for (uint32_t part = 0; part < kWideRows / kOutRows; ++part) {
    barrier();
    ARROWMIND_UNROLL
    for (uint32_t column = 0; column < kOutRows / 8; ++column) {
      ARROWMIND_UNROLL
      for (int i = 0; i < 2; ++i) {
        ARROWMIND_UNROLL
        for (int e = 0; e < 4; ++e) {
          memory[(8 * column + 2 * at.slot + i) * kOutStride + first + e] =
              sums[e / 2][part * kOutRows / 8 + column][e % 2 * 2 + i];
        }
      }
    }
    barrier();
    for (uint32_t i = 0; is_there && i < kOutRows; ++i) {
      const uint32_t row = at.first_row + part * kOutRows + i;
      float value = memory[i * kOutStride + thread()];
      if (rest != 0.0f) value = fused(0.0f - rest, sum_of_row(l, row), value);
      finish(l, row, n, W::kScaling == 1 ? value * scale : value);
    }
  }
}

template <class W>
ARROWMIND_DEVICE void wide_floats(const Linear& l) {
  constexpr uint32_t kUnit = kUnitFours<W>;
  ARROWMIND_SHARED(uint8_t, table, W::kTable + 4);
  ARROWMIND_SHARED(Four, memory, kWideBytes / 16);
  auto* chunks = reinterpret_cast<WideChunk*>(memory);
  const LinearParameters& p = l.p;
  const Standing at(l, kWideOutputs, kWideRows);
  const uint32_t bits = group_bits(p.group), count = ceil_of(p.k, kChunkK);
  const uint64_t stride = panel_units<W>(p);
  WideSums sums = {};
  Coming<W> coming;
  WideUnit<W> unit, next;
  WideScales scales = {};
  float outer[4];
  outer_of<W>(l, at, scales, outer);
  W::fill_table(table);
  for (uint32_t half = 0; half < 2; ++half) {
    coming.ask(l, at.first_row, 0, half);
    coming.put(chunks[0], half);
  }
  uint32_t four = kUnit * at.slot;
  next.ask(l, at, stride, four, bits);
  barrier();
  for (uint32_t chunk = 0; chunk < count; ++chunk) {
    const WideChunk& own = chunks[chunk & 1];
    const bool more = chunk + 1 < count;
    ARROWMIND_UNROLL
    for (uint32_t step = 0; step < kChunkSteps; ++step) {
      const uint32_t place = step % kUnit;
      if (place == 0) {
        unit = next;
        if constexpr (W::kScaling == 2) scales.take(l, unit, outer);
      }
      if (step % 2 == 0 && more) coming.ask(l, at.first_row, (chunk + 1) * kChunkK, step / 2);
      uint32_t a[2][4];
      put_wide<W>(unit, scales, four % W::kFours + place, table, a);
      if (place + 1 == kUnit) {
        four += 4 * kUnit;
        next.ask(l, at, stride, four, bits);
      }
      multiply_wide(a, own[step], sums);
      if (step % 2 == 1 && more) coming.put(chunks[1 - (chunk & 1)], step / 2);
    }
    barrier();
  }
  finish_wide<W>(l, at, sums, reinterpret_cast<float*>(memory));
}

}  // namespace arrowmind::device::gpu
