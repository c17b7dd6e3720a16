#include "kernels/embed/embed_body.h"

namespace arrowmind::embed {

void embed_f32_neon(const Params& p) {
  ARROWMIND_ISA::embed_tokens(p);
}

}  // namespace arrowmind::embed
