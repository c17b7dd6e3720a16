#pragma once

// Many rows of int8 codes: as many.h, with exact integer products. What follows an exact sum runs in the
// order of k, as on the CPU.

#include "kernels/qmatmul/gpu/many.h"

namespace arrowmind::device::gpu {

using CodeChunk = uint32_t[kChunkSteps][kColumns][32];
using CodeSums = int32_t[2][kColumns][4];

// `end`: fours of k that rows have codes for.
ARROWMIND_DEVICE void bring_codes(const Linear& l, uint32_t first_row, uint32_t first_four, uint32_t end,
                                  CodeChunk& chunk) {
  for (uint32_t i = thread(); i < kTileRows * kChunkK / 4; i += kLinearThreads) {
    const uint32_t row = i / (kChunkK / 4), four = i % (kChunkK / 4);
    const bool is_there = first_row + row < l.p.rows && first_four + four < end;
    chunk[four / 4][row / 8][4 * (row % 8) + four % 4] =
        is_there ? l.a_words(first_row + row)[first_four + four] : 0u;
  }
}

// Adds the products of 16 k from `step` on, and of the next 16 where `two` says so.
template <class W>
ARROWMIND_DEVICE void add_products(const Linear& l, const Standing& at, uint64_t stride, uint32_t first_four,
                                   uint32_t end, const uint8_t* table, const CodeChunk& chunk, uint32_t step,
                                   bool two, CodeSums& sums) {
  uint32_t a[2][4] = {};
  ARROWMIND_UNROLL
  for (uint32_t half = 0; half < 2; ++half) {
    const uint32_t four = first_four + 4 * (step + half) + at.slot;
    if ((half == 1 && !two) || !at.is_there || four >= end) continue;
    const typename W::Words words = W::load(l.w, stride, at.panel, four / W::kFours, at.chunk);
    ARROWMIND_UNROLL
    for (int e = 0; e < 4; ++e) a[e / 2][2 * half + e % 2] = W::four(words, e, four % W::kFours, table);
  }
  ARROWMIND_UNROLL
  for (uint32_t column = 0; column < kColumns; ++column) {
    const uint32_t b[2] = {chunk[step][column][lane()], two ? chunk[step + 1][column][lane()] : 0u};
    multiply_i8(sums[0][column], a[0], b);
    multiply_i8(sums[1][column], a[1], b);
  }
}

// int8 weights with a scale each.
ARROWMIND_DEVICE void many_integers(const Linear& l) {
  ARROWMIND_SHARED(CodeChunk, chunks, 1);
  const Standing at(l);
  const uint32_t end = ceil_of(l.p.k, 4);
  CodeSums sums = {};
  for (uint32_t first = 0; first < end; first += kChunkK / 4) {
    barrier();
    bring_codes(l, at.first_row, first, end, chunks[0]);
    barrier();
    for (uint32_t step = 0; step < kChunkSteps; step += 2) {
      add_products<I8Weights>(l, at, end, first, end, nullptr, chunks[0], step, true, sums);
    }
  }
  if (!at.is_there) return;
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    ARROWMIND_UNROLL
    for (uint32_t column = 0; column < kColumns; ++column) {
      ARROWMIND_UNROLL
      for (int i = 0; i < 2; ++i) {
        const uint32_t row = at.row(column, i);
        finish(l, row, at.n(e), dequantised(l, row, at.n(e), sums[e / 2][column][e % 2 * 2 + i]));
      }
    }
  }
}

// A part's sums go into values and, at a block's end, outputs.
template <class W>
ARROWMIND_DEVICE void fold_tile(const Linear& l, const Standing& at, uint32_t part, CodeSums& sums,
                                Sums& values, Sums& out) {
  const Part own = {part, l.p.block / l.p.part};
  ARROWMIND_UNROLL
  for (int e = 0; e < 4; ++e) {
    const float scale = at.is_there ? scale_of<W>(l, at.panel, part, at.place(e)) : 0.0f;
    const float zero = at.is_there ? zero_of<W>(l, at.panel, part, at.place(e)) : 0.0f;
    ARROWMIND_UNROLL
    for (uint32_t column = 0; column < kColumns; ++column) {
      ARROWMIND_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int element = e % 2 * 2 + i;
        const uint32_t row = least(at.row(column, i), l.p.rows - 1);
        int32_t& sum = sums[e / 2][column][element];
        fold_part(l, own, scale, zero, row, sum, &values[e / 2][column][element],
                  &out[e / 2][column][element]);
        sum = 0;
      }
    }
  }
}

// Weights of a grid, activations in blocks.
template <class W>
ARROWMIND_DEVICE void many_blocks(const Linear& l) {
  ARROWMIND_SHARED(uint8_t, table, W::kTable + 4);
  ARROWMIND_SHARED(CodeChunk, chunks, 1);
  const LinearParameters& p = l.p;
  const Standing at(l);
  const uint32_t end = p.blocks * p.block / 4, part_bits = group_bits(p.part);
  const uint64_t stride = panel_units<W>(p);
  const bool two = p.part > kStepK;
  CodeSums sums = {};
  Sums values = {}, out = {};
  W::fill_table(table);
  for (uint32_t first = 0; first < end; first += kChunkK / 4) {
    barrier();
    bring_codes(l, at.first_row, first, end, chunks[0]);
    barrier();
    for (uint32_t step = 0; step < kChunkSteps && first + 4 * step < end; step += two ? 2 : 1) {
      add_products<W>(l, at, stride, first, end, table, chunks[0], step, two, sums);
      const uint32_t next = 4 * first + kStepK * (step + (two ? 2 : 1));
      if ((next & (p.part - 1)) == 0) fold_tile<W>(l, at, (next >> part_bits) - 1, sums, values, out);
    }
  }
  const float none[4] = {};
  finish_tile<W>(l, at, none, out);
}

}  // namespace arrowmind::device::gpu
