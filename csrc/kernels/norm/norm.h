#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::norm {

// Layer norm of each row:
//   mean = sum_k x[k] / width
//   var  = sum_k (x[k] - mean)^2 / width              two passes
//   y[k] = (x[k] - mean) * (1 / sqrt(var + eps)) * gamma[k] + beta[k]
// RMS norm of each row, where beta is null:
//   y[k] = x[k] * (1 / sqrt(sum_k x[k]^2 / width + eps)) * gamma[k]
// Sums run in 64 lanes, element k in lane k mod 64, folded in one fixed tree: the same bits on every ISA.

struct Params {
  const float* x = nullptr;  // [rows, width]
  int64_t x_stride = 0;      // elements between rows
  float* y = nullptr;        // [rows, width]; may be x itself
  int64_t y_stride = 0;
  int64_t width = 0;
  const float* gamma = nullptr;  // [width]
  const float* beta = nullptr;   // [width]; null: RMS norm
  float eps = 0.0f;
  int64_t begin = 0, end = 0;  // rows this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every width and code type.
const Row& select();

}  // namespace arrowmind::norm
