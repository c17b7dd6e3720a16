#include "kernels/trellis/trellis_body.h"

namespace arrowmind::trellis {

void trellis_f32_scalar(const Params& p) {
  ARROWMIND_ISA::search_rows(p);
}

}  // namespace arrowmind::trellis
