#pragma once

#include <cstdint>
#include <span>

#include "base/checked.h"
#include "runtime/execution.h"
#include "runtime/experts.h"

namespace arrowmind::runtime {

// The rows of a forward in the order of their experts. A row is one token at one of its experts: row
// `token * top + rank` of what add_route() writes.
struct RoutedRows {
  Slot route;
  int64_t top = 0, rows = 0;
  int32_t* starts = nullptr;              // [experts + 1] place of each expert's first row
  int32_t* order = nullptr;               // [rows] place -> row
  int32_t* places = nullptr;              // [rows] its inverse
  std::span<int32_t> active{};            // experts with rows, ascending
  const ExpertWeights** table = nullptr;  // [experts] for the active ones

  int64_t count(int32_t expert) const { return starts[expert + 1] - starts[expert]; }
  int32_t expert_of(int64_t row) const { return static_cast<int32_t>(number_of(row)); }
  float number_of(int64_t row) const { return route.f32()[row / top * route.stride + row % top]; }
};

// Columns of a float32 buffer for the lists of a forward. The plan lays buffers out for a multiple of this
// many tokens, which what is of experts is shared among.
constexpr int64_t kRoutedRound = 16;
constexpr int64_t routed_columns(int64_t experts, int64_t top) {
  return 2 * top + ceil_div(4 * experts + 4, kRoutedRound);
}

// Sorts by counting: rows of one expert keep the order of their tokens. `memory`: such a buffer. Throws
// Error(kInvalidArgument) where the route names what is no expert.
RoutedRows sort_rows(const Slot& route, int64_t tokens, int64_t top, int64_t experts, float* memory);

}  // namespace arrowmind::runtime
