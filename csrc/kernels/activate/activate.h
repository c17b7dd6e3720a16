#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::activate {

// out[k] = f(x[k]) * up[k], or f(x[k]) without `up`; f as in kernels/simd/f32x16.h:
//   kSilu      x / (1 + e^-x)             kGelu   x * Phi(x)
//   kGeluTanh  its approximation by tanh  kCap    cap * tanh(x / cap)
//   kQuickGelu x / (1 + e^-1.702x)

enum class Kind : uint8_t { kSilu, kGelu, kGeluTanh, kCap, kQuickGelu };

struct Params {
  Kind kind = Kind::kSilu;
  float cap = 0.0f;           // kCap: above 0
  const float* x = nullptr;   // [rows, width]
  const float* up = nullptr;  // [rows, width] or null
  int64_t stride = 0;         // elements between rows of x and of up
  int64_t width = 0;
  float* out = nullptr;  // [rows, width]; may be x itself
  int64_t out_stride = 0;
  int64_t begin = 0, end = 0;  // rows this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every kind and width.
const Row& select();

}  // namespace arrowmind::activate
