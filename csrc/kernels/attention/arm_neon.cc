#include "kernels/attention/attention_body.h"

namespace arrowmind::attention {

void attention_f32_6x16_neon(const Params& p) {
  ARROWMIND_ISA::attend<6, 1>(p);
}

}  // namespace arrowmind::attention
