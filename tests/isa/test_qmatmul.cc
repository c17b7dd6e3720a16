#include "ops.h"
#include "qmatmul_inputs.h"

namespace arrowmind::isa_test {

void test_qmatmul(Report& report, uint64_t seed) {
  const auto same_form = [](const qmatmul::Row& a, const qmatmul::Row& b) {
    return a.activation == b.activation && a.weight == b.weight;
  };
  const auto fits = [](const qmatmul::Row& row, const MatmulCase& one) { return one.m >= row.min_m; };
  const auto run = [](const qmatmul::Row& row, const MatmulCase& one) -> Outcome {
    MatmulInputs in = make_inputs(row.activation, row.weight, one);
    row.run(in.params);
    return {{in.c.begin(), in.c.end()}, {}};
  };
  check_rows(report, qmatmul::rows(), matmul_cases(seed), same_form, fits, run);
}

}  // namespace arrowmind::isa_test
