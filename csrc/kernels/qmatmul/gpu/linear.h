#pragma once

// What all kernels linear_* have in common: their arguments, where scales and zero points lie, and what
// happens to a sum before it is stored. qmatmul.h has the formulas, device/kernels.h the places.

#include "device/gpu/grids.h"
#include "device/gpu/language.h"
#include "device/gpu/math.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kLinearThreads = 128, kLinearWarps = kLinearThreads / 32;
constexpr uint32_t kPanel = 16;

struct Linear {
  const void* a;
  const float* a_scale;
  const int32_t* a_zero;
  const int32_t* a_sum;
  const void* w;
  const void* w_scale;
  const void* w_zero;
  const int32_t* w_sum;
  const float* outer;
  const float* bias;
  const float* residual;
  float* c;
  const LinearParameters& p;
  uint32_t tile;  // of rows, that the group has

  ARROWMIND_DEVICE bool has(uint32_t flag) const { return (p.flags & flag) != 0; }
  ARROWMIND_DEVICE const float* a_row(uint32_t row) const {
    return static_cast<const float*>(a) + row * uint64_t{p.a_stride};
  }
  // Codes of a row, four a word.
  ARROWMIND_DEVICE const uint32_t* a_words(uint32_t row) const {
    return static_cast<const uint32_t*>(a) + row * uint64_t{p.a_stride} / 4;
  }
  // Codes of 16 bits, two a word.
  ARROWMIND_DEVICE const uint32_t* a_pairs(uint32_t row) const {
    return static_cast<const uint32_t*>(a) + row * uint64_t{p.a_stride} / 2;
  }
};

#define ARROWMIND_LINEAR_KERNEL_OF(threads, name, ...)                                                    \
  ARROWMIND_KERNEL(threads, name, const void* a, const float* a_scale, const int32_t* a_zero,             \
                   const int32_t* a_sum, const void* w, const void* w_scale, const void* w_zero,          \
                   const int32_t* w_sum, const float* outer, const float* bias, const float* residual,    \
                   float* c, LinearParameters p) {                                                        \
    __VA_ARGS__(Linear{a, a_scale, a_zero, a_sum, w, w_scale, w_zero, w_sum, outer, bias, residual, c, p, \
                       group_y()});                                                                       \
  }
#define ARROWMIND_LINEAR_KERNEL(name, ...) ARROWMIND_LINEAR_KERNEL_OF(kLinearThreads, name, __VA_ARGS__)

// Scale and zero point of an output (number `place` of its panel) for a group of k, in whole levels: a
// grid's, one per output, or none. Kinds of weights (weights.h) know what they have.
template <class W>
ARROWMIND_DEVICE float scale_of(const Linear& l, uint32_t panel, uint32_t group, uint32_t place) {
  const uint32_t n = panel * kPanel + place;
  if constexpr (W::kScaling == 2) {
    const float outer = l.has(kHasOuter) ? l.outer[n] * W::kUnit : W::kUnit;
    const uint32_t own = least(group, l.p.groups - 1);
    const uint64_t index = (panel * uint64_t{l.p.groups} + own) * kPanel + place;
    return stored_scale(l.p.scale_type, l.w_scale, index) * outer;
  }
  return W::kScaling == 1 ? static_cast<const float*>(l.w_scale)[n] : 1.0f;
}
template <class W>
ARROWMIND_DEVICE float zero_of(const Linear& l, uint32_t panel, uint32_t group, uint32_t place) {
  if constexpr (W::kScaling == 2) {
    if (!l.has(kHasZeros)) return W::kOffset;
    const uint32_t own = least(group, l.p.groups - 1);
    const uint64_t index = (panel * uint64_t{l.p.groups} + own) * kPanel + place;
    return static_cast<float>(static_cast<const uint8_t*>(l.w_zero)[index]) * W::kZeroStep;
  }
  if constexpr (W::kScaling == 1) {
    return l.has(kHasZeros) ? static_cast<const float*>(l.w_zero)[panel * kPanel + place] : 0.0f;
  }
  return 0.0f;
}

// Bias, GELU, residual, in this order, and the store.
ARROWMIND_DEVICE void finish(const Linear& l, uint32_t row, uint32_t n, float value) {
  if (row >= l.p.rows || n >= l.p.n) return;
  if (l.has(kHasBias)) value = value + l.bias[n];
  if (l.has(kIsGelu)) value = gelu(value);
  const uint32_t column = l.p.first_column + n;
  if (l.has(kHasResidual)) value = value + l.residual[row * uint64_t{l.p.residual_stride} + column];
  l.c[row * uint64_t{l.p.c_stride} + column] = value;
}

// The value of an integer sum of int8 codes.
ARROWMIND_DEVICE float dequantised(const Linear& l, uint32_t row, uint32_t n, int32_t sum) {
  if (row >= l.p.rows || n >= l.p.n) return 0.0f;
  float value = static_cast<float>(sum);
  if (l.has(kHasAZero)) {
    value = fused(static_cast<float>(l.a_zero[row]), 0.0f - static_cast<float>(l.w_sum[n]), value);
  }
  if (l.has(kHasZeros)) {
    const float zero = static_cast<const float*>(l.w_zero)[n];
    value = fused(static_cast<float>(l.a_sum[row]), 0.0f - zero, value);
  }
  return value * (l.a_scale[row] * static_cast<const float*>(l.w_scale)[n]);
}

// One part of k of codes in blocks: its exact sum goes into the value of its block, the block's last into
// `out`.
struct Part {
  uint32_t number, per_block;
  ARROWMIND_DEVICE bool is_first() const { return number % per_block == 0; }
  ARROWMIND_DEVICE bool is_last() const { return number % per_block + 1 == per_block; }
  ARROWMIND_DEVICE uint32_t block() const { return number / per_block; }
};
ARROWMIND_DEVICE void fold_part(const Linear& l, const Part& part, float scale, float zero, uint32_t row,
                                int32_t sum, float* value, float* out) {
  float real = static_cast<float>(sum);
  if (zero != 0.0f) {
    real = fused(0.0f - zero, static_cast<float>(l.a_sum[row * uint64_t{l.p.parts} + part.number]), real);
  }
  *value = part.is_first() ? real * scale : fused(real, scale, *value);
  if (part.is_last()) *out = fused(*value, l.a_scale[row * uint64_t{l.p.blocks} + part.block()], *out);
}

}  // namespace arrowmind::device::gpu
