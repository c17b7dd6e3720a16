// AMX BF16: tdpbf16ps on tiles of 16 rows x 32 k and 32 k x 16 outputs.

#include "kernels/qmatmul/amx_bf16_form.h"

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_bf16t_bf16_32x32x32_amxbf16(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxBf16Form>(p).run();
}

}  // namespace arrowmind::qmatmul
