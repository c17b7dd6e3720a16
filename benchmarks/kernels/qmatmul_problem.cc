#include "qmatmul_problem.h"

#include "base/cpu.h"

namespace arrowmind::bench {

const Row& oracle_of(const Row& row) {
  for (const Row& other : qmatmul::rows()) {
    if (other.row.isa == Isa::kScalar && other.activation == row.activation && other.weight == row.weight) {
      return other;
    }
  }
  fail(ErrorKind::kKernel, "no scalar row for ", row.row.detail);
}

std::string limit_of(const Row& row) {
  const std::string isa(isa_name(row.row.isa));
  if (row.activation == Activation::kF32) return "fma_" + isa;
  if (row.activation == Activation::kI8Block) {
    return (row.row.isa == Isa::kAvx512Vnni ? "dpbusd_" : "maddubs16_") + isa;
  }
  if (row.weight == Weight::kI8Paired && row.row.isa == Isa::kAvx2) return "maddubs_" + isa;
  if (row.weight == Weight::kI8Fours && row.row.isa == Isa::kAvx2) return "maddubs_fours_" + isa;
  if (row.row.isa != Isa::kAvx512Vnni) return "maddwd_" + isa;
  return (row.activation == Activation::kI8 ? "dpbusd_" : "dpwssd_") + isa;
}

}  // namespace arrowmind::bench
