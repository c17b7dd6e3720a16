#include "kernels/cached_attention/body.h"
#include "kernels/cached_attention/reading.h"
#include "kernels/cached_attention/turning.h"
#include "kernels/cached_attention/writing.h"

namespace arrowmind::cached_attention {

void write_4x16_scalar(const Write& p) {
  ARROWMIND_ISA::write_rows(p);
}

void attend_4x16_scalar(const Attend& p) {
  ARROWMIND_ISA::attend_cached<4, 4>(p);
}

void shrink_4x16_scalar(const Shrink& p) {
  ARROWMIND_ISA::shrink_pages(p);
}

void expand_4x16_scalar(const Shrink& p) {
  ARROWMIND_ISA::expand_pages(p);
}

void turn_4x16_scalar(const Turn& p) {
  ARROWMIND_ISA::turn_page(p);
}

void read_4x16_scalar(const Read& p) {
  ARROWMIND_ISA::read_rows(p);
}

}  // namespace arrowmind::cached_attention
