#pragma once

// Large products on the tensor cores of sm_90a: as wide.h, 256 outputs of 128 rows for a group, a warpgroup
// has 128 outputs in two products of 64. Weights become bfloat16 in registers, where products take them from;
// rows, which round_rows rounded before, come to memory of the group without passing through threads. While
// products of 16 k run, weights of the next 16 become numbers, and rows of the next 64 are on their way.
//
// A lane takes four fours of k of each 64, one behind the other: of the 16 k of a step those with
// k % 16 / 4 = step. round_rows puts rows into the same order.

#include "device/gpu/warpgroups.h"
#include "kernels/qmatmul/gpu/wide.h"

#if ARROWMIND_HAS_WARPGROUPS

namespace arrowmind::device::gpu {

// 64 k of the rows of a group, and how many of them memory of the group has: while one is multiplied and
// another is on its way, products may still read a third. Tables of levels leave room for two, which wait.
constexpr uint32_t kRowTileFours = kWideRows * kColumnBytes / 16;
template <class W>
constexpr uint32_t kRowTiles = W::kTable == 0 ? 3 : 2;

constexpr uint32_t more_of(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}
template <class W>
constexpr uint32_t kTileFours = more_of(kRowTileFours * kRowTiles<W>, kWideBytes / 16);

// At most 48 KiB, which every launch has.
template <class W>
struct alignas(kEightColumns) WgmmaMemory {
  Four words[kTileFours<W> + W::kTable / 16];

  ARROWMIND_DEVICE Four* tile(uint32_t number) { return words + number % kRowTiles<W> * kRowTileFours; }
  ARROWMIND_DEVICE uint8_t* table() { return reinterpret_cast<uint8_t*>(words + kTileFours<W>); }
  ARROWMIND_DEVICE float* sums() { return reinterpret_cast<float*>(words); }
};

// Units of a lane in 64 k, and how many of them are asked for before they are wanted: as registers allow.
template <class W>
constexpr uint32_t kLaneUnits = kChunkSteps / kUnitFours<W>;
template <class W>
constexpr uint32_t kLaneAhead = W::kScaling == 0 && W::kUnitBytes == 64 && W::kFours == 1 ? 2 : kLaneUnits<W>;

// Rows of a chunk of k, 16 bytes at a time; of rows behind the last, the last once more.
ARROWMIND_DEVICE void ask_rows(const Linear& l, uint32_t first_row, uint32_t chunk, Four* tile) {
  constexpr uint32_t kPieces = kColumnBytes / 16, kPasses = kWideRows * kPieces / kWideThreads;
  const uint32_t piece = thread() % kPieces, own = thread() / kPieces;
  const char* rows = reinterpret_cast<const char*>(l.a_scale);
  const uint64_t stride = ceil_of(l.p.k, kChunkK) * kColumnBytes;
  ARROWMIND_UNROLL
  for (uint32_t pass = 0; pass < kPasses; ++pass) {
    const uint32_t row = pass * (kWideThreads / kPieces) + own, from = least(first_row + row, l.p.rows - 1);
    ask_copy(tile + row * kPieces + (piece ^ row % 8),
             rows + from * stride + chunk * kColumnBytes + piece * 16);
  }
  end_copies();
}

template <class W>
ARROWMIND_DEVICE void wgmma_floats(const Linear& l) {
  constexpr uint32_t kUnit = kUnitFours<W>, kAhead = kLaneAhead<W>;
  static_assert(sizeof(WgmmaMemory<W>) <= 48 << 10);
  ARROWMIND_SHARED(WgmmaMemory<W>, memory, 1);
  const LinearParameters& p = l.p;
  const Standing at(l, kWideOutputs, kWideRows);
  const uint32_t bits = group_bits(p.group), count = ceil_of(p.k, kChunkK);
  const uint64_t stride = panel_units<W>(p);
  const uint8_t* table = memory[0].table();
  WideSums sums = {};
  WideUnit<W> units[kAhead];
  WideScales scales = {};
  uint32_t a[2][2][4];
  float outer[4];
  outer_of<W>(l, at, scales, outer);
  W::fill_table(memory[0].table());
  ask_rows(l, at.first_row, 0, memory[0].tile(0));
  // Of the four that a lane is to ask for next.
  uint32_t four = kChunkSteps * at.slot, ahead = 0;
  ARROWMIND_UNROLL
  for (uint32_t i = 0; i < kAhead; ++i) units[i].ask(l, at, stride, four + kUnit * i, bits);
  ahead = kUnit * kAhead;
  for (uint32_t chunk = 0; chunk < count; ++chunk) {
    if constexpr (kRowTiles<W> == 2) wait_products<0>();
    wait_copies<0>();
    show_to_products();
    barrier();
    if (chunk + 1 < count) ask_rows(l, at.first_row, chunk + 1, memory[0].tile(chunk + 1));
    const uint32_t tile = address_in_group(memory[0].tile(chunk));
    ARROWMIND_UNROLL
    for (uint32_t step = 0; step < kChunkSteps; ++step) {
      WideUnit<W>& unit = units[step / kUnit % kAhead];
      uint32_t (&own)[2][4] = a[step % 2];
      if constexpr (W::kScaling == 2) {
        if (step % kUnit == 0) scales.take(l, unit, outer);
      }
      put_wide<W>(unit, scales, four % W::kFours + step % kUnit, table, own);
      if (step % kUnit + 1 == kUnit) {
        const uint32_t next = step + 1 - kUnit + ahead;
        unit.ask(l, at, stride, four + next % kChunkSteps + next / kChunkSteps * kChunkFours, bits);
      }
      wait_products<0>();  // of the step before: the next to be made are the other half of `a`
      begin_products(own);
      const uint64_t rows = describe_columns(tile + step * (kStepK * 2));
      multiply_rows(sums[0], own[0], rows);
      multiply_rows(sums[1], own[1], rows);
      end_products();
    }
    four += kChunkFours;
  }
  wait_products<0>();
  take_sums(sums[0]);
  take_sums(sums[1]);
  finish_wide<W>(l, at, sums, memory[0].sums());
}

}  // namespace arrowmind::device::gpu

#endif
