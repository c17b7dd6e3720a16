#pragma once

#include <cstdint>

#include "base/checked.h"
#include "kernels/grid/grid.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {

// A grid's scales, zero points and outer scales as places of a kernel.
struct GridPlaces {
  Place scales, zeros, outer;
  uint32_t group = 0, groups = 1, scale_type = 0;
  uint32_t flags = 0;  // kHasZeros, kHasOuter
};

constexpr int64_t bytes_of(grid::Scale type) {
  return type == grid::Scale::kF32 ? 4 : type == grid::Scale::kF16 ? 2 : 1;
}

// Of `rows` outputs of `columns` weights; packed ones are padded to panels by the caller.
// place(part, bytes): where what part(grid) points to lies, or nothing for null.
template <typename PlaceOf>
GridPlaces grid_places(const grid::Grid& grid, int64_t rows, int64_t columns, const PlaceOf& place) {
  const int64_t groups = grid.group == 0 ? 1 : ceil_div(columns, grid.group);
  GridPlaces places;
  using Grid = grid::Grid;
  places.scales =
      place([](const Grid& g) -> const void* { return g.scales; }, rows * groups * bytes_of(grid.scale_type));
  places.zeros = place([](const Grid& g) -> const void* { return g.zeros; }, rows* groups);
  places.outer = place([](const Grid& g) -> const void* { return g.outer; }, rows * 4);
  places.group = Lowering::word(grid.group);
  places.groups = Lowering::word(groups);
  places.scale_type = static_cast<uint32_t>(grid.scale_type);
  places.flags =
      (grid.zeros != nullptr ? device::kHasZeros : 0u) | (grid.outer != nullptr ? device::kHasOuter : 0u);
  return places;
}

inline GridPlaces grid_places(Lowering& lowering, const grid::Grid& grid, int64_t rows, int64_t columns) {
  return grid_places(grid, rows, columns,
                     [&](const auto& part, int64_t bytes) { return lowering.constant(part(grid), bytes); });
}

}  // namespace arrowmind::runtime
