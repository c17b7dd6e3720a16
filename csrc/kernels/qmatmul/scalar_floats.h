#pragma once

#include "base/half.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

// Element `index` of float activations, for the oracles.
inline float float_at(const qmatmul::Params& p, int64_t index) {
  switch (p.a_type) {
    case qmatmul::FloatType::kF32:
      return static_cast<const float*>(p.a)[index];
    case qmatmul::FloatType::kF16:
      return half_to_float(static_cast<const uint16_t*>(p.a)[index]);
    case qmatmul::FloatType::kBf16:
      return bfloat_to_float(static_cast<const uint16_t*>(p.a)[index]);
  }
  return 0.0f;
}

}  // namespace arrowmind::ARROWMIND_ISA
