#pragma once

// Rows that stand in groups, of which each meets a matrix of its own: a group of threads has a tile of one of
// them, and sees nothing but the rows of that tile and that matrix. What it does with them is what the other
// kernels do.

#include "kernels/qmatmul/gpu/few.h"

namespace arrowmind::device::gpu {

// A matrix, the first row, the number of rows.
struct Tile {
  uint32_t matrix, first, rows;
  ARROWMIND_DEVICE Tile(const uint32_t* tiles, uint32_t number)
      : matrix(tiles[3 * number]), first(tiles[3 * number + 1]), rows(tiles[3 * number + 2]) {}
};

template <class T>
ARROWMIND_DEVICE T* moved(T* from, uint64_t count) {
  return from + count;
}
ARROWMIND_DEVICE const void* moved(const void* from, uint64_t bytes) {
  return static_cast<const char*>(from) + bytes;
}

// The rows of a tile, of kBits each value, and its matrix; `p` has the rows of the tile.
template <class W, uint32_t kActivationBytes, bool kInBlocks>
ARROWMIND_DEVICE Linear rows_of_tile(const Linear& all, const Tile& tile, const LinearParameters& p) {
  const uint64_t panels = uint64_t{tile.matrix} * ceil_of(p.n, kPanel), outputs = panels * kPanel;
  const uint64_t row = tile.first, scales = W::kScaling == 2 ? outputs * p.groups : outputs;
  const uint32_t scale_bytes = W::kScaling != 2 || p.scale_type == kScaleF32 ? 4
                               : p.scale_type == kScaleF16                   ? 2
                                                                             : 1;
  return {moved(all.a, row * p.a_stride * kActivationBytes),
          moved(all.a_scale, row * (kInBlocks ? p.blocks : 1)),
          moved(all.a_zero, row),
          moved(all.a_sum, row * (kInBlocks ? p.parts : 1)),
          moved(all.w, panels * panel_units<W>(p) * W::kUnitBytes),
          moved(all.w_scale, scales * scale_bytes),
          moved(all.w_zero, scales * (W::kScaling == 2 ? 1 : 4)),
          moved(all.w_sum, outputs),
          moved(all.outer, outputs),
          nullptr,
          nullptr,
          moved(all.c, row * p.c_stride),
          p,
          0};
}

// Words of 16 bits, in tiles of more rows than these kernels have sums for.
ARROWMIND_DEVICE void all_words(Linear l) {
  for (l.tile = 0; l.tile * kFewRows < l.p.rows; ++l.tile) {
    if (l.tile > 0) barrier();
    few_words(l);
  }
}

#define ARROWMIND_GROUPED_KERNEL(name, W, activation_bytes, in_blocks, ...)                                \
  ARROWMIND_KERNEL(kLinearThreads, name, const void* a, const float* a_scale, const int32_t* a_zero,       \
                   const int32_t* a_sum, const void* w, const void* w_scale, const void* w_zero,           \
                   const int32_t* w_sum, const float* outer, const uint32_t* tiles, const void*, float* c, \
                   LinearParameters p) {                                                                   \
    const Tile tile(tiles, group_y());                                                                     \
    if (tile.rows == 0) return;                                                                            \
    p.rows = tile.rows;                                                                                    \
    p.flags &= kHasZeros | kHasOuter | kHasAZero;                                                          \
    const Linear all = {a,     a_scale, a_zero,  a_sum,   w, w_scale, w_zero,                              \
                        w_sum, outer,   nullptr, nullptr, c, p,       0};                                  \
    __VA_ARGS__(rows_of_tile<W, activation_bytes, in_blocks>(all, tile, p));                               \
  }

}  // namespace arrowmind::device::gpu
