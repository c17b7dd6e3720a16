#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include "kernels/activate/activate.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

template <typename Function>
inline void activate_row(const float* x, const float* up, int64_t width, float* out, const Function& f) {
  int64_t k = 0;
  for (; k + 16 <= width; k += 16) {
    const F32x16 value = f(load(x + k));
    store(out + k, up == nullptr ? value : value * load(up + k));
  }
  if (k == width) return;
  const F32x16 value = f(load_part(x + k, width - k));
  store_part(out + k, up == nullptr ? value : value * load_part(up + k, width - k), width - k);
}

template <typename Function>
inline void activate_all(const activate::Params& p, const Function& f) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    const float* up = p.up == nullptr ? nullptr : p.up + row * p.stride;
    activate_row(p.x + row * p.stride, up, p.width, p.out + row * p.out_stride, f);
  }
}

inline void activate_rows(const activate::Params& p) {
  const F32x16 cap = set1(p.cap);
  switch (p.kind) {
    case activate::Kind::kSilu:
      return activate_all(p, [](F32x16 x) { return silu(x); });
    case activate::Kind::kGelu:
      return activate_all(p, [](F32x16 x) { return gelu(x); });
    case activate::Kind::kGeluTanh:
      return activate_all(p, [](F32x16 x) { return gelu_tanh(x); });
    case activate::Kind::kCap:
      return activate_all(p, [&](F32x16 x) { return soft_cap(x, cap); });
    case activate::Kind::kQuickGelu:
      return activate_all(p, [](F32x16 x) { return quick_gelu(x); });
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
