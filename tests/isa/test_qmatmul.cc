#include "amx/rows.h"
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

// The table, and the kernels on the model of tiles.
std::vector<qmatmul::Row> all_rows() {
  std::vector<qmatmul::Row> rows(qmatmul::rows().begin(), qmatmul::rows().end());
  for (const qmatmul::Row& row : amx_model_rows()) rows.push_back(row);
  return rows;
}

}  // namespace

void test_qmatmul(Report& report, uint64_t seed) {
  const std::vector<qmatmul::Row> every = all_rows();
  const std::span<const qmatmul::Row> rows = every;
  for (const qmatmul::Row& oracle : rows.first(qmatmul::rows().size())) {
    if (oracle.row.isa != Isa::kScalar) continue;
    const auto same_form = [&](const qmatmul::Row& row) {
      return row.activation == oracle.activation && row.weight == oracle.weight;
    };
    const auto fits = [](const qmatmul::Row& row, const MatmulCase& one) { return one.m >= row.min_m; };
    const auto prepare = [&](const MatmulCase& one) { return Problem(oracle, one); };
    check_form(report, rows, oracle, matmul_cases(seed, is_grid(oracle.weight)), same_form, fits, prepare);
  }
  close_op(report, rows);
}

}  // namespace arrowmind::isa_test
