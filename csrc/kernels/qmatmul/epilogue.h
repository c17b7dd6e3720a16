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
        bias_(p.bias),
        residual_(p.residual == nullptr ? nullptr : p.residual + n),
        residual_stride_(p.residual_stride),
        c_(p.c + n),
        c_stride_(p.c_stride) {
    sums_ = a_zero_ != nullptr ? load_i32(p.w_sum + n) : zero();
    zeros_ = has_zero_ ? load(p.w_zero + n) : zero();
    scales_ = has_scale_ ? load(p.w_scale + n) : set1(1.0f);
    biases_ = bias_ != nullptr ? load_some(bias_ + n) : zero();
  }

  // Integer sums of row m -> real values.
  F32x16 dequantise(int64_t m, F32x16 acc) const {
    if (a_zero_ != nullptr) acc = fma(set1(-static_cast<float>(a_zero_[m])), sums_, acc);
    if (has_zero_) acc = fma(set1(-static_cast<float>(a_sum_[m])), zeros_, acc);
    return acc * (set1(a_scale_[m]) * scales_);
  }

  // Float sums of a row -> real values.
  F32x16 scale(F32x16 acc) const { return has_scale_ ? acc * scales_ : acc; }

  // Bias, nonlinearity and residual of row m; then the store.
  void finish(int64_t m, F32x16 value) const {
    if (bias_ != nullptr) value = value + biases_;
    if (gelu_) value = gelu(value);
    if (residual_ != nullptr) value = value + load_some(residual_ + m * residual_stride_);
    if (count_ == qmatmul::kPanel) {
      store(c_ + m * c_stride_, value);
    } else {
      store_part(c_ + m * c_stride_, value, count_);
    }
  }

 private:
  // Masked moves only where they are needed: they are slow on some processors.
  F32x16 load_some(const float* p) const {
    return count_ == qmatmul::kPanel ? load(p) : load_part(p, count_);
  }

  const int64_t count_;
  const bool has_zero_, has_scale_, gelu_;
  const float* const a_scale_;
  const int32_t* const a_zero_;
  const int32_t* const a_sum_;
  const float* const bias_;
  const float* const residual_;
  const int64_t residual_stride_;
  float* const c_;
  const int64_t c_stride_;
  F32x16 sums_, zeros_, scales_, biases_;
};

}  // namespace arrowmind::ARROWMIND_ISA
