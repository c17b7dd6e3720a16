#include "kernels/cached_attention/body.h"

namespace arrowmind::cached_attention {

void write_8x32_avx512(const Write& p) {
  ARROWMIND_ISA::write_rows(p);
}

void attend_8x32_avx512(const Attend& p) {
  ARROWMIND_ISA::attend_cached<8, 16>(p);
}

}  // namespace arrowmind::cached_attention
