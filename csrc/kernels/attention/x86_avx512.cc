#include "kernels/attention/attention_body.h"

namespace arrowmind::attention {

void attention_f32_8x32_avx512(const Params& p) {
  ARROWMIND_ISA::attend<8, 2>(p);
}

}  // namespace arrowmind::attention
