#include "ops.h"
#include "qmatmul_inputs.h"

namespace arrowmind::isa_test {
namespace {

// One problem for several rows.
class Problem {
 public:
  Problem(const qmatmul::Row& form, const MatmulCase& one)
      : in_(make_inputs(form.activation, form.weight, one)) {}

  Outcome operator()(const qmatmul::Row& row) {
    for (float& c : in_.c) c = -7.0f;
    row.run(in_.params);
    return {{in_.c.begin(), in_.c.end()}, {}};
  }

 private:
  MatmulInputs in_;
};

}  // namespace

void test_qmatmul(Report& report, uint64_t seed) {
  for (const qmatmul::Row& oracle : qmatmul::rows()) {
    if (oracle.row.isa != Isa::kScalar) continue;
    const auto same_form = [&](const qmatmul::Row& row) {
      return row.activation == oracle.activation && row.weight == oracle.weight;
    };
    const auto fits = [](const qmatmul::Row& row, const MatmulCase& one) { return one.m >= row.min_m; };
    const auto prepare = [&](const MatmulCase& one) { return Problem(oracle, one); };
    check_form(report, qmatmul::rows(), oracle, matmul_cases(seed, is_grid(oracle.weight)), same_form, fits,
               prepare);
  }
  close_op(report, qmatmul::rows());
}

}  // namespace arrowmind::isa_test
