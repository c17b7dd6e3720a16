#include "kernels/quantise/quantise_body.h"

namespace arrowmind::quantise {

void quantise_f32_i8_avx2(const Params& p) {
  ARROWMIND_ISA::quantise_rows<int8_t>(p);
}

void quantise_f32_i16_avx2(const Params& p) {
  ARROWMIND_ISA::quantise_rows<int16_t>(p);
}

void quantise_f32_i8b_avx2(const Params& p) {
  ARROWMIND_ISA::quantise_row_blocks(p);
}

}  // namespace arrowmind::quantise
