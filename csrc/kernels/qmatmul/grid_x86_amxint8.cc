// Grids on AMX INT8; codes are unpacked by AVX-512.

#include "kernels/qmatmul/amx_grid_form.h"
#include "kernels/qmatmul/grid_zmm.h"

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_32x32_amxint8(const Params& p) {
  isa::AmxBlocking<isa::AmxTiles, isa::AmxGridForm<isa::GridZmm, isa::Trellis3Codes>>(p).run();
}

}  // namespace arrowmind::qmatmul
