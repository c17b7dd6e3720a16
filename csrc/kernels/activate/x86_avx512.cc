#include "kernels/activate/activate_body.h"

namespace arrowmind::activate {

void activate_f32_avx512(const Params& p) {
  ARROWMIND_ISA::activate_rows(p);
}

}  // namespace arrowmind::activate
