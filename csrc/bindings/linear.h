#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "runtime/ops/linear.h"

namespace arrowmind::bindings {

struct Shape {
  int64_t rows, columns;
};

// Of the matrix that `tensor` describes. Throws Error(kWeight).
Shape shape_of(const nb::dict& tensor);
// k per scale of a tensor on a grid; nothing for others.
std::optional<int64_t> group_of(const nb::dict& tensor);
// What rows are when they meet weights: fp32, int8, int16 or int8-block. Throws Error(kInvalidArgument).
runtime::BufferType buffer_type(const std::string& name);

// A linear layer from a Python description: "type", "shape", "codes", "scales", "zero_points", "sums",
// "bias", and for a grid "group", "scale_type", "outer". Sizes are checked; `owners` keep the arrays alive.
// Throws Error(kWeight).
struct LinearDescription {
  explicit LinearDescription(const nb::dict& tensor);

  runtime::LinearWeights weights;
  std::vector<nb::object> owners;
};

}  // namespace arrowmind::bindings
