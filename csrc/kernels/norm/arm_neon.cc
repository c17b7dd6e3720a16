#include "kernels/norm/norm_body.h"

namespace arrowmind::norm {

void norm_f32_neon(const Params& p) {
  ARROWMIND_ISA::normalise_rows(p);
}

}  // namespace arrowmind::norm
