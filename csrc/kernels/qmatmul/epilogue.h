#pragma once

// The fixed sequence of float operations between a kernel's sums and its outputs; see qmatmul.h. Included by
// the ISA sources only.

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Outputs [n, n + 16) of one call, with what all their rows share.
class PanelEpilogue {
 public:
  PanelEpilogue(const qmatmul::Params& p, int64_t n)
      : p_(p), n_(n), count_(p.n - n < qmatmul::kPanel ? p.n - n : qmatmul::kPanel) {
    scale_ = p.w_scale != nullptr ? load(p.w_scale + n) : set1(1.0f);
    zero_ = p.w_zero != nullptr ? load(p.w_zero + n) : zero();
    bias_ = p.bias != nullptr ? load_some(p.bias + n) : zero();
  }

  // Integer sums of row m -> real values.
  F32x16 dequantise(int64_t m, F32x16 acc) const {
    if (p_.w_zero != nullptr) acc = fma(set1(-static_cast<float>(p_.a_sum[m])), zero_, acc);
    return acc * (set1(p_.a_scale[m]) * scale_);
  }

  // Float sums of row m -> real values.
  F32x16 scale(F32x16 acc) const { return p_.w_scale != nullptr ? acc * scale_ : acc; }

  // Bias, nonlinearity and residual; then the store.
  void finish(int64_t m, F32x16 value) const {
    if (p_.bias != nullptr) value = value + bias_;
    if (p_.nonlinearity == qmatmul::Nonlinearity::kGelu) value = gelu(value);
    if (p_.residual != nullptr) value = value + load_some(p_.residual + m * p_.residual_stride + n_);
    float* c = p_.c + m * p_.c_stride + n_;
    if (count_ == qmatmul::kPanel) {
      store(c, value);
    } else {
      store_part(c, value, count_);
    }
  }

 private:
  // Masked moves only where they are needed: they are slow on some processors.
  F32x16 load_some(const float* p) const {
    return count_ == qmatmul::kPanel ? load(p) : load_part(p, count_);
  }

  const qmatmul::Params& p_;
  const int64_t n_;
  const int64_t count_;
  F32x16 scale_, zero_, bias_;
};

}  // namespace arrowmind::ARROWMIND_ISA
