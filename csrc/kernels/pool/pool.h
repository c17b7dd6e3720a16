#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::pool {

// One vector per sequence s, whose tokens are rows [offsets[s], offsets[s + 1]):
//   kMean   y = sum of its rows in order / their number
//   kFirst  y = its first row (CLS)
//   kLast   y = its last row
// then, if normalise: y / max(sqrt(sum_k y[k]^2), 1e-12). A sequence without tokens gives zeros.

enum class Mode : uint8_t { kMean, kFirst, kLast };

struct Params {
  const float* x = nullptr;  // [tokens, width]
  int64_t x_stride = 0;      // elements between rows
  int64_t width = 0;
  const int32_t* offsets = nullptr;  // [sequences + 1]
  Mode mode = Mode::kMean;
  bool normalise = false;
  float* out = nullptr;  // [sequences, width]
  int64_t out_stride = 0;
  int64_t begin = 0, end = 0;  // sequences this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every mode and width.
const Row& select();

}  // namespace arrowmind::pool
