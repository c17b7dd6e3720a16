// The oracle: plain loops in the order the contract in qmatmul.h names. Never vectorised (cmake/isa.cmake).

#include <cmath>

#include "kernels/qmatmul/epilogue.h"
#include "kernels/qmatmul/scalar_floats.h"

namespace arrowmind::qmatmul {
namespace {

using namespace arrowmind::ARROWMIND_ISA;

template <typename Code>
void integer_matmul(const Params& p) {
  const int64_t k_quads = (p.k + kQuad - 1) / kQuad;
  const Code* a = static_cast<const Code*>(p.a);
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t n = p.n_begin; n < p.n_end; n += kPanel) {
      const int8_t* w = static_cast<const int8_t*>(p.w) + n / kPanel * k_quads * kPanel * kQuad;
      int32_t acc[kPanel] = {};
      for (int64_t k = 0; k < p.k; ++k) {
        for (int64_t j = 0; j < kPanel; ++j) {
          acc[j] += a[m * p.a_stride + k] * w[(k / kQuad * kPanel + j) * kQuad + k % kQuad];
        }
      }
      const PanelEpilogue epilogue(p, n);
      epilogue.finish(m, epilogue.dequantise(m, load_i32(acc)));
    }
  }
}

// weight(panel, k, j): the real weight of output j of the panel starting at output n, before w_scale.
template <typename ReadWeight>
void float_matmul(const Params& p, const ReadWeight& weight) {
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t n = p.n_begin; n < p.n_end; n += kPanel) {
      F32x16 acc = zero();
      for (int64_t k = 0; k < p.k; ++k) {
        F32x16 w;
        for (int64_t j = 0; j < kPanel; ++j) w.lane[j] = weight(n, k, j);
        acc = fma(set1(float_at(p, m * p.a_stride + k)), w, acc);
      }
      const PanelEpilogue epilogue(p, n);
      epilogue.finish(m, epilogue.scale(acc));
    }
  }
}

}  // namespace

void qmatmul_i8_i8_scalar(const Params& p) {
  integer_matmul<int8_t>(p);
}

void qmatmul_i8_i8p_scalar(const Params& p) {
  integer_matmul<int8_t>(p);
}

void qmatmul_i8_i8f_scalar(const Params& p) {
  integer_matmul<int8_t>(p);
}

void qmatmul_i16_i8_scalar(const Params& p) {
  integer_matmul<int16_t>(p);
}

void qmatmul_f32_f32_scalar(const Params& p) {
  const float* w = static_cast<const float*>(p.w);
  float_matmul(p, [&](int64_t n, int64_t k, int64_t j) { return w[(n / kPanel * p.k + k) * kPanel + j]; });
}

void qmatmul_f32_f16_scalar(const Params& p) {
  const uint16_t* w = static_cast<const uint16_t*>(p.w);
  float_matmul(p, [&](int64_t n, int64_t k, int64_t j) {
    return half_to_float(w[(n / kPanel * p.k + k) * kPanel + j]);
  });
}

void qmatmul_f32_bf16_scalar(const Params& p) {
  const uint16_t* w = static_cast<const uint16_t*>(p.w);
  float_matmul(p, [&](int64_t n, int64_t k, int64_t j) {
    return bfloat_to_float(w[(n / kPanel * p.k + k) * kPanel + j]);
  });
}

void qmatmul_f32_i8_scalar(const Params& p) {
  const int64_t k_quads = (p.k + kQuad - 1) / kQuad;
  const int8_t* w = static_cast<const int8_t*>(p.w);
  float_matmul(p, [&](int64_t n, int64_t k, int64_t j) {
    const int8_t code = w[((n / kPanel * k_quads + k / kQuad) * kPanel + j) * kQuad + k % kQuad];
    return static_cast<float>(code) - (p.w_zero != nullptr ? p.w_zero[n + j] : 0.0f);
  });
}

}  // namespace arrowmind::qmatmul
