// AMX INT8: tdpbssd on tiles of 16 rows x 64 k and 64 k x 16 outputs, eight times the products of vpdpbusd in
// its best case.

#include "kernels/qmatmul/amx_int8_form.h"

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8_i8_32x32x64_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxInt8Form>(p).run();
}

}  // namespace arrowmind::qmatmul
