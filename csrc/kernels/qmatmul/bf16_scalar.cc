// The oracles of the bfloat16 forms: the instructions' own sequence of operations (qmatmul.h). Never
// vectorised.

#include <cmath>

#include "base/half.h"
#include "kernels/qmatmul/epilogue.h"

namespace arrowmind::qmatmul {
namespace {

using namespace arrowmind::ARROWMIND_ISA;

float flushed(float x) {
  return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}
float fma_flushed(float a, float b, float c) {
  return flushed(std::fma(a, b, c));
}
float add_flushed(float a, float b) {
  return flushed(a + b);
}

// One output: numbers at any k, zeros behind the last.
struct Pair {
  const Params& p;
  const uint16_t *activations, *weights;

  Pair(const Params& params, int64_t m, int64_t n)
      : p(params),
        activations(static_cast<const uint16_t*>(p.a) + m * p.a_stride),
        weights(static_cast<const uint16_t*>(p.w) + n / kPanel * p.k * kPanel + n % kPanel) {}
  float a(int64_t k) const { return k < p.k ? flushed(bfloat_to_float(activations[k])) : 0.0f; }
  float w(int64_t k) const { return k < p.k ? flushed(bfloat_to_float(weights[k * kPanel])) : 0.0f; }
};

float sum_of_pairs(const Pair& x) {
  float sum = 0.0f;
  for (int64_t k = 0; k < (x.p.k + 3) / 4 * 4; k += 2) {
    sum = fma_flushed(x.a(k + 1), x.w(k + 1), sum);
    sum = fma_flushed(x.a(k), x.w(k), sum);
  }
  return sum;
}

float sum_of_steps(const Pair& x) {
  constexpr int64_t kStep = 32;
  float sum = 0.0f;
  for (int64_t step = 0; step < x.p.k; step += kStep) {
    float even = 0.0f, odd = 0.0f;
    for (int64_t k = step; k < step + kStep; k += 2) {
      even = fma_flushed(x.a(k), x.w(k), even);
      odd = fma_flushed(x.a(k + 1), x.w(k + 1), odd);
    }
    sum = add_flushed(sum, add_flushed(even, odd));
  }
  return sum;
}

void matmul(const Params& p, float (*sum)(const Pair&)) {
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t n = p.n_begin; n < p.n_end; n += kPanel) {
      float sums[kPanel];
      for (int64_t j = 0; j < kPanel; ++j) sums[j] = sum(Pair(p, m, n + j));
      const PanelEpilogue epilogue(p, n);
      epilogue.finish(m, epilogue.scale(load(sums)));
    }
  }
}

}  // namespace

void qmatmul_bf16_bf16_scalar(const Params& p) {
  matmul(p, sum_of_pairs);
}
void qmatmul_bf16t_bf16_scalar(const Params& p) {
  matmul(p, sum_of_steps);
}

}  // namespace arrowmind::qmatmul
