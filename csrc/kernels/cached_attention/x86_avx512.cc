#include "kernels/cached_attention/body.h"
#include "kernels/cached_attention/reading.h"
#include "kernels/cached_attention/turning.h"
#include "kernels/cached_attention/writing.h"

namespace arrowmind::cached_attention {

void write_8x32_avx512(const Write& p) {
  ARROWMIND_ISA::write_rows(p);
}

void attend_8x32_avx512(const Attend& p) {
  ARROWMIND_ISA::attend_cached<8, 16>(p);
}

void shrink_8x32_avx512(const Shrink& p) {
  ARROWMIND_ISA::shrink_pages(p);
}

void expand_8x32_avx512(const Shrink& p) {
  ARROWMIND_ISA::expand_pages(p);
}

void turn_8x32_avx512(const Turn& p) {
  ARROWMIND_ISA::turn_page(p);
}

void read_8x32_avx512(const Read& p) {
  ARROWMIND_ISA::read_rows(p);
}

}  // namespace arrowmind::cached_attention
