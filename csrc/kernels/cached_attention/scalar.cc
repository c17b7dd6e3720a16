#include "kernels/cached_attention/body.h"

namespace arrowmind::cached_attention {

void write_4x16_scalar(const Write& p) {
  ARROWMIND_ISA::write_rows(p);
}

void attend_4x16_scalar(const Attend& p) {
  ARROWMIND_ISA::attend_cached<4, 4>(p);
}

}  // namespace arrowmind::cached_attention
