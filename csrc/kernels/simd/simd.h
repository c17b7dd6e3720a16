#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::simd {

// The functions of f32x16.h over arrays, y[i] = f(x[i]), so that each can be checked and timed by itself. The
// encoder's other ops use them in registers.
//   kExp   e^x, x clamped to [-87.3, 88.3]               within 2 ulp
//   kExp2  2^min(x, 0), at least 2^-126                  within 2 ulp
//   kGelu  x * Phi(x), Phi the normal distribution       within 5e-7 * max(1, |x|)
// A NaN gives a NaN; everything else a number (kGelu: an infinity for +infinity).

enum class Map : uint8_t { kExp, kExp2, kGelu };

struct Params {
  const float* x = nullptr;  // [size]
  float* y = nullptr;        // [size]; may be x itself
  int64_t size = 0;
};

using Function = void (*)(const Params&);

struct Row {
  KernelRow row;
  Map map;
  float cost;  // relative time per element
  Function run;
};

std::span<const Row> rows();

// The fastest kernel for this function on this machine.
const Row& select(Map map);

}  // namespace arrowmind::simd
