#include "kernels/route/route_body.h"

namespace arrowmind::route {

void route_f32_scalar(const Params& p) {
  ARROWMIND_ISA::route_rows(p);
}

}  // namespace arrowmind::route
