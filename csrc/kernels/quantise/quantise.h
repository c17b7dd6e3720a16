#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::quantise {

// Rows of float32 -> integer codes with one scale per row, the activations of the integer forms of qmatmul:
//   amax  = max_k |x[k]|
//   scale = amax / limit
//   code  = round_to_even(x * (limit / amax))         |code| <= limit
//   sum   = sum_k code                                exact
// Rows with amax < kSmallest give scale 0 and codes 0. Rows with a NaN or an infinity give scale NaN, codes 0
// and sum 0, so that the damage shows downstream and stays in its row.

enum class Code : uint8_t { kI8, kI16 };

// Below it limit / amax could overflow; such a row holds nothing an embedding could depend on.
constexpr float kSmallest = 0x1p-96f;
constexpr int32_t kLimitI8 = 127;

// Where codes go; shared with ops that quantise what they have just computed.
struct Output {
  void* codes = nullptr;   // [rows, width] int8 or int16, rows padded with zero codes to a multiple of 4
  int64_t stride = 0;      // elements between rows, at least the padded width
  float* scale = nullptr;  // [rows]
  int32_t* sum = nullptr;  // [rows] or null
  // Largest code: kLimitI8, or qmatmul::activation_limit(width). limit * width must stay below 2^31, the
  // budget of the int32 sum; both limits keep it for every width up to 16 million.
  int32_t limit = 0;
};

struct Params {
  const float* x = nullptr;  // [rows, width]
  int64_t x_stride = 0;      // elements between rows
  int64_t width = 0;
  int64_t begin = 0, end = 0;  // rows this call computes
  Output out;
};

using Function = void (*)(const Params&);

struct Row {
  KernelRow row;
  Code code;
  float cost;  // relative time per element
  Function run;
};

std::span<const Row> rows();

// The fastest kernel for this code type on this machine.
const Row& select(Code code);

}  // namespace arrowmind::quantise
