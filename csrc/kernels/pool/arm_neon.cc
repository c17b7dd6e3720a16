#include "kernels/pool/pool_body.h"

namespace arrowmind::pool {

void pool_f32_neon(const Params& p) {
  ARROWMIND_ISA::pool_sequences(p);
}

}  // namespace arrowmind::pool
