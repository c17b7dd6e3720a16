#pragma once

// The fixed sequence of float operations between a kernel's sums and its outputs; see qmatmul.h. Included by
// the ISA sources only.

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Outputs [n, n + 16) of one call, with what all their rows share. Holds copies of the parameters: a store of
// a vector may alias anything, and would have them loaded again for each row.
class PanelEpilogue {
 public:
  PanelEpilogue(const qmatmul::Params& p, int64_t n)
      : count_(p.n - n < qmatmul::kPanel ? p.n - n : qmatmul::kPanel),
        has_zero_(p.w_zero != nullptr),
        has_scale_(p.w_scale != nullptr),
        gelu_(p.nonlinearity == qmatmul::Nonlinearity::kGelu),
        a_scale_(p.a_scale),
        a_zero_(p.a_zero),
        a_sum_(p.a_sum),
        residual_(p.residual == nullptr ? nullptr : p.residual + n),
        residual_stride_(p.residual_stride),
        c_(p.c + n),
        c_stride_(p.c_stride) {
    minus_sums_ = a_zero_ != nullptr ? zero() - load_i32(p.w_sum + n) : zero();
    minus_zeros_ = has_zero_ ? zero() - load(p.w_zero + n) : zero();
    scales_ = has_scale_ ? load(p.w_scale + n) : set1(1.0f);
    // Without a bias -0: x + -0 is x, whatever x is.
    biases_ = p.bias != nullptr ? load_some(p.bias + n) : set1(-0.0f);
  }

  // Asks for what the outputs [n, n + 16) share: while their sums are made, there is time for it to come.
  static void prefetch(const qmatmul::Params& p, int64_t n) {
    for (const void* shared : {static_cast<const void*>(p.w_sum), static_cast<const void*>(p.w_zero),
                               static_cast<const void*>(p.w_scale), static_cast<const void*>(p.bias)}) {
      if (shared != nullptr) __builtin_prefetch(static_cast<const float*>(shared) + n);
    }
  }

  // Integer sums of row m -> real values.
  F32x16 dequantise(int64_t m, F32x16 acc) const {
    if (a_zero_ != nullptr) acc = fma(set1_i32(a_zero_ + m), minus_sums_, acc);
    if (has_zero_) acc = fma(set1_i32(a_sum_ + m), minus_zeros_, acc);
    return acc * (set1(a_scale_[m]) * scales_);
  }

  // Float sums of a row -> real values.
  F32x16 scale(F32x16 acc) const { return has_scale_ ? acc * scales_ : acc; }

  // Bias, nonlinearity and residual of row m; then the store.
  void finish(int64_t m, F32x16 value) const {
    finish_rows(m, 1, [&](int64_t /*row*/) { return value; });
  }

  // The same of rows [m, m + rows), whose values are values_of(row). What all of them have in common is asked
  // once: asked for each row, it took as long as the arithmetic.
  template <class ValuesOf>
  void finish_rows(int64_t m, int64_t rows, const ValuesOf& values_of) const {
    const bool adds = residual_ != nullptr;
    if (count_ < qmatmul::kPanel) {
      if (gelu_) return finish_each<true, true, false>(m, rows, values_of);
      return finish_each<false, true, false>(m, rows, values_of);
    }
    if (gelu_ && adds) return finish_each<true, true, true>(m, rows, values_of);
    if (gelu_) return finish_each<true, false, true>(m, rows, values_of);
    if (adds) return finish_each<false, true, true>(m, rows, values_of);
    finish_each<false, false, true>(m, rows, values_of);
  }

 private:
  // Rows lie too far apart for a processor to foresee the next.
  static constexpr int64_t kRowsAhead = 6;

  template <bool kGelu, bool kMayAdd, bool kWhole, class ValuesOf>
  void finish_each(int64_t m, int64_t rows, const ValuesOf& values_of) const {
    const F32x16 biases = biases_;
    const float* residual = residual_ == nullptr ? nullptr : residual_ + m * residual_stride_;
    float* c = c_ + m * c_stride_;
    for (int64_t row = m; row < m + rows; ++row, c += c_stride_) {
      F32x16 value = values_of(row) + biases;
      if constexpr (kGelu) value = gelu(value);
      if constexpr (kMayAdd) {
        if (kWhole || residual != nullptr) {
          __builtin_prefetch(residual + kRowsAhead * residual_stride_);
          value = value + load_some(residual);
          residual += residual_stride_;
        }
      }
      if constexpr (kWhole) {
        store(c, value);
      } else {
        store_part(c, value, count_);
      }
    }
  }

  // Masked moves only where they are needed: they are slow on some processors.
  F32x16 load_some(const float* p) const {
    return count_ == qmatmul::kPanel ? load(p) : load_part(p, count_);
  }

  const int64_t count_;
  const bool has_zero_, has_scale_, gelu_;
  const float* const a_scale_;
  const int32_t* const a_zero_;
  const int32_t* const a_sum_;
  const float* const residual_;
  const int64_t residual_stride_;
  float* const c_;
  const int64_t c_stride_;
  F32x16 minus_sums_, minus_zeros_, scales_, biases_;
};

}  // namespace arrowmind::ARROWMIND_ISA
