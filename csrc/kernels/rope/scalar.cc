#include "kernels/rope/rope_body.h"

namespace arrowmind::rope {

void rope_f32_scalar(const Params& p) {
  ARROWMIND_ISA::rotate_rows(p);
}

}  // namespace arrowmind::rope
