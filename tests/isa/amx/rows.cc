// Compiled once for each suffix of the names in rows.inc (CMakeLists.txt).

#include "amx/byte_rows.h"
#include "amx/model.h"
#include "kernels/qmatmul/amx_bf16_form.h"
#include "kernels/qmatmul/amx_grid_form.h"
#include "kernels/qmatmul/amx_int8_form.h"
#if defined(__AVX512F__)
#include "kernels/qmatmul/grid_zmm.h"
#endif

namespace arrowmind::ARROWMIND_ISA {

#if defined(__AVX512F__)
using Rows = GridZmm;
#else
using Rows = ByteRows;
#endif

template <class Form>
static void run_on_model(const Params& p) {
  AmxBlocking<ModelTiles, Form>(p).run();
  if (ModelTiles::is_configured()) fail(ErrorKind::kKernel, "tiles were not released");
}

}  // namespace arrowmind::ARROWMIND_ISA

#define JOIN(a, b) a##b
#define NAME(form, suffix) JOIN(qmatmul_##form##_, suffix)

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void NAME(i8_i8, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxInt8Form>(p);
}
void NAME(i8b_i8g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::I8Codes>>(p);
}
void NAME(i8b_i4g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::I4Codes>>(p);
}
void NAME(i8b_i2g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::I2Codes>>(p);
}
void NAME(i8b_fp4g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::Fp4Codes>>(p);
}
void NAME(i8b_t2g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::Trellis2Codes>>(p);
}
void NAME(i8b_t3g, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxGridForm<isa::Rows, isa::Trellis3Codes>>(p);
}
void NAME(bf16t_bf16, ARROWMIND_ISA)(const Params& p) {
  isa::run_on_model<isa::AmxBf16Form>(p);
}

}  // namespace arrowmind::qmatmul
