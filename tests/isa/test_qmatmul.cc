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

bool is_int8_tiles(const qmatmul::Row& row) {
  return row.row.isa == Isa::kAmxInt8;
}

// Rows of AMX INT8 on codes without signs.
void check_natural(Report& report, const qmatmul::Row& oracle, const std::vector<MatmulCase>& cases) {
  for (const qmatmul::Row& row : qmatmul::rows()) {
    const bool same_form = row.activation == oracle.activation && row.weight == oracle.weight;
    if (!same_form || !is_int8_tiles(row) || !isa_enabled(row.row.isa)) continue;
    for (MatmulCase one : cases) {
      if (one.m < row.min_m) continue;
      one.natural = true;
      Problem problem(oracle, one);
      set_current(row.row);
      report.compare(row.row, one.text(), problem(oracle), problem(row));
    }
  }
}

}  // namespace

void test_qmatmul(Report& report, uint64_t seed, bool natural_tiles) {
  const std::vector<qmatmul::Row> every = all_rows();
  const std::span<const qmatmul::Row> rows = every;
  for (const qmatmul::Row& oracle : rows.first(qmatmul::rows().size())) {
    if (oracle.row.isa != Isa::kScalar) continue;
    const auto same_form = [&](const qmatmul::Row& row) {
      return row.activation == oracle.activation && row.weight == oracle.weight;
    };
    const std::vector<MatmulCase> cases = matmul_cases(seed, is_grid(oracle.weight));
    const auto fits = [&](const qmatmul::Row& row, const MatmulCase& one) {
      return one.m >= row.min_m && !(natural_tiles && is_int8_tiles(row));
    };
    const auto prepare = [&](const MatmulCase& one) { return Problem(oracle, one); };
    check_form(report, rows, oracle, cases, same_form, fits, prepare);
    if (natural_tiles) check_natural(report, oracle, cases);
  }
  close_op(report, rows);
}

}  // namespace arrowmind::isa_test
