#pragma once

#include <cstring>

#include "buffer.h"
#include "kernels/grid/grid.h"
#include "random.h"

namespace arrowmind::isa_test {

// A description of a grid, and everything it points to.
struct GridInputs {
  grid::Grid grid;
  Buffer<char> scales;
  Buffer<float> outer;
  Buffer<uint8_t> zeros;
};

// Scales as stored: a byte of the range of its type, a number of binary16, or a float.
inline Buffer<char> grid_scales(Random& random, grid::Scale type, int64_t count) {
  using grid::Scale;
  const int64_t size = type == Scale::kF32 ? 4 : type == Scale::kF16 ? 2 : 1;
  Buffer<char> scales(count * size, 64);
  for (int64_t i = 0; i < count; ++i) {
    const float value = 0.001f + 0.01f * random.real();
    const uint16_t half = random.half();
    // E8M0: between 2^-27 and 2^5, so that no product overflows.
    const uint8_t byte = static_cast<uint8_t>(type == Scale::kE8M0   ? random.whole(100, 132)
                                              : type == Scale::kE4M3 ? random.whole(0, 126)
                                                                     : random.whole(0, 255));
    char* out = scales.data() + i * size;
    if (size == 4) std::memcpy(out, &value, 4);
    if (size == 2) std::memcpy(out, &half, 2);
    if (size == 1) std::memcpy(out, &byte, 1);
  }
  return scales;
}

// Of `rows` outputs with `groups` scales each.
inline GridInputs make_grid(Random& random, grid::Scale type, int64_t group, int64_t rows, int64_t groups,
                            bool has_zeros) {
  GridInputs in;
  in.grid.group = group;
  in.grid.scale_type = type;
  in.scales = grid_scales(random, type, rows * groups);
  in.grid.scales = in.scales.data();
  in.outer = filled<float>(rows, [&] { return 0.001f + 0.01f * random.real(); }, 64);
  if (type == grid::Scale::kU8 || type == grid::Scale::kE4M3) in.grid.outer = in.outer.data();
  in.zeros = filled<uint8_t>(rows * groups, [&] { return random.whole(0, 255); });
  if (has_zeros) in.grid.zeros = in.zeros.data();
  return in;
}

}  // namespace arrowmind::isa_test
