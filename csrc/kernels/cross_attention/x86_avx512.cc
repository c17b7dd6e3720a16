#include "kernels/cross_attention/cross_attention_body.h"

namespace arrowmind::cross_attention {

void cross_attention_f32_avx512(const Params& p) {
  ARROWMIND_ISA::attend_given_keys(p);
}

}  // namespace arrowmind::cross_attention
