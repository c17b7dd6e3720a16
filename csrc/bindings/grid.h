#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::bindings {

// The weight type called `name`; `group` is set for the codes of a grid. Throws Error(kWeight).
qmatmul::Weight weight_type(const std::string& name, std::optional<int64_t> group = std::nullopt);

// Scales and zero points of a grid, from a Python description: "group", "scale_type", "scales", "outer" or
// None, "zero_points" or None. Sizes are checked; `owners` keep the arrays alive. Throws Error(kWeight).
struct GridBuffers {
  // `row_major`: of a table, whose rows are not padded to panels.
  GridBuffers(const nb::dict& tensor, int64_t n, int64_t k, bool row_major = false);

  qmatmul::Grid grid;
  std::vector<nb::object> owners;
};

}  // namespace arrowmind::bindings
