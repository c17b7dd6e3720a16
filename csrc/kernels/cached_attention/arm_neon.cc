#include "kernels/cached_attention/body.h"
#include "kernels/cached_attention/reading.h"
#include "kernels/cached_attention/turning.h"
#include "kernels/cached_attention/writing.h"

namespace arrowmind::cached_attention {

void write_6x16_neon(const Write& p) {
  ARROWMIND_ISA::write_rows(p);
}

void attend_6x16_neon(const Attend& p) {
  ARROWMIND_ISA::attend_cached<6, 6>(p);
}

void shrink_6x16_neon(const Shrink& p) {
  ARROWMIND_ISA::shrink_pages(p);
}

void expand_6x16_neon(const Shrink& p) {
  ARROWMIND_ISA::expand_pages(p);
}

void turn_6x16_neon(const Turn& p) {
  ARROWMIND_ISA::turn_page(p);
}

void read_6x16_neon(const Read& p) {
  ARROWMIND_ISA::read_rows(p);
}

}  // namespace arrowmind::cached_attention
