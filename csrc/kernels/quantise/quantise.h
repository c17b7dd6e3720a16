#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::quantise {

// Rows of float32 -> integer codes with one scale per row, the activations of the integer forms of qmatmul:
//   x'[k] = x[k] * multiplier[k]                       where the matrix asks for it, else x
// int16, symmetric:
//   scale = max |x'| / limit
//   code  = round(x' * (limit / max |x'|))             |code| <= limit
// int8, from the smallest to the largest value, zero among them:
//   low, high = min(x', 0), max(x', 0);  span = high - low;  scale = span / 255
//   zero  = round(-128 - low * (255 / span))           the code of 0
//   code  = round(clamp(fma(x', 255 / span, zero), -128, 127))
// int8 in blocks of k, symmetric: scale[block] = max |x'| / 127, code = round(x' * (127 / max |x'|)); and
// of each part of a block
//   sum[part] = sum_k code
// and for the others
//   sum   = sum_k (code - zero)                        exact
// Rounding is to the nearest, ties to even. Rows with max |x'| < kSmallest give scale, codes and zero 0, as
// do such blocks. Rows with a NaN, an infinity or a span that overflows give scale NaN, codes and sum 0, so
// that the damage shows downstream and stays in its row.

enum class Code : uint8_t { kI8, kI16, kI8Block };

// Below it limit / max |x'| could overflow; such a row holds nothing an embedding could depend on.
constexpr float kSmallest = 0x1p-96f;

struct Output {
  void* codes = nullptr;    // [rows, width] int8 or int16, rows padded with zero codes to a multiple of 4
  int64_t stride = 0;       // elements between rows, at least the padded width
  float* scale = nullptr;   // [rows]
  int32_t* sum = nullptr;   // [rows] or null
  int32_t* zero = nullptr;  // [rows]; may be null for int16, whose zero is 0
  // In blocks: scale [rows, blocks], sum [rows, parts], stride at least the width padded to a block.
  int64_t block = 0, part = 0;
  // Largest int16 code, qmatmul::activation_limit(width): limit * width must stay below 2^31, the budget of
  // the int32 sum. int8 keeps it for every width up to 8 million.
  int32_t limit = 0;
};

struct Params {
  const float* x = nullptr;  // [rows, width]
  int64_t x_stride = 0;      // elements between rows
  int64_t width = 0;
  const float* multiplier = nullptr;  // [width] or null: 1
  int64_t begin = 0, end = 0;         // rows this call computes
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
