#include "ops.h"
#include "qmatmul_inputs.h"

namespace arrowmind::isa_test {
namespace {

Outcome run(const qmatmul::Row& row, const MatmulCase& one) {
  MatmulInputs in = make_inputs(row.activation, row.weight, one);
  row.run(in.params);
  return {{in.c.begin(), in.c.end()}, {}};
}

}  // namespace

void test_qmatmul(Report& report, uint64_t seed) {
  for (const qmatmul::Row& oracle : qmatmul::rows()) {
    if (oracle.row.isa != Isa::kScalar) continue;
    const auto same_form = [&](const qmatmul::Row& row) {
      return row.activation == oracle.activation && row.weight == oracle.weight;
    };
    const auto fits = [](const qmatmul::Row& row, const MatmulCase& one) { return one.m >= row.min_m; };
    check_form(report, qmatmul::rows(), oracle, matmul_cases(seed, is_grid(oracle.weight)), same_form, fits,
               run);
  }
  close_op(report, qmatmul::rows());
}

}  // namespace arrowmind::isa_test
