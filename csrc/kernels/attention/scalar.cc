#include "kernels/attention/attention_body.h"

namespace arrowmind::attention {

void attention_f32_4x16_scalar(const Params& p) {
  ARROWMIND_ISA::attend<4, 1>(p);
}

}  // namespace arrowmind::attention
