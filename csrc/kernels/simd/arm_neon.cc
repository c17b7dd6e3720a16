#include "kernels/simd/simd_body.h"

namespace arrowmind::simd {

using namespace arrowmind::ARROWMIND_ISA;

void simd_exp_neon(const Params& p) {
  map_lanes(p, [](F32x16 x) { return ARROWMIND_ISA::exp(x); });
}

void simd_exp2_neon(const Params& p) {
  map_lanes(p, [](F32x16 x) { return exp2_not_positive(min(zero(), x)); });
}

void simd_gelu_neon(const Params& p) {
  map_lanes(p, [](F32x16 x) { return gelu(x); });
}

}  // namespace arrowmind::simd
