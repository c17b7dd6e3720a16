#include <cstdlib>

#include "kernels/attention/attention.h"
#include "kernels/cached_attention/cached_attention.h"
#include "kernels/embed/embed.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "kernels/scan/scan.h"
#include "kernels/simd/simd.h"
#include "ops.h"

namespace arrowmind::isa_test {
namespace {

constexpr const char* kVariable = "ARROWMIND_MAX_ISA";

void set_cap(const std::string& cap) {
  if (cap.empty()) {
    unsetenv(kVariable);
  } else {
    setenv(kVariable, cap.c_str(), 1);
  }
  reload_isa_cap();
}

// Compares what select() takes with a choice made here from the table and what the processor has.
class Check {
 public:
  Check(Report& report, Isa cap, const std::vector<IsaInfo>& isas)
      : report_(report), cap_(cap), isas_(isas) {}

  template <typename Row, typename Fits>
  void operator()(const Row& chosen, std::span<const Row> rows, const Fits& fits) {
    const Row* best = nullptr;
    for (const Row& row : rows) {
      if (fits(row) && may_run(row.row.isa) && (best == nullptr || row.cost < best->cost)) best = &row;
    }
    ++checks;
    if (&chosen == best) return;
    report_.fail(chosen.row.name, cat("was chosen under ", kVariable, "=", isa_name(cap_), " instead of ",
                                      best == nullptr ? "none" : best->row.name));
  }

  int checks = 0;

 private:
  bool may_run(Isa isa) const {
    for (const IsaInfo& info : isas_) {
      if (info.isa == isa) return info.detected && isa <= cap_;
    }
    return false;
  }

  Report& report_;
  Isa cap_;
  const std::vector<IsaInfo>& isas_;
};

template <typename Row>
void check_single(Check& check, const Row& chosen, std::span<const Row> rows) {
  check(chosen, rows, [](const Row&) { return true; });
}

void check_all(Check& check) {
  check_single(check, attention::select(), attention::rows());
  check_single(check, cached_attention::select(), cached_attention::rows());
  check_single(check, embed::select(), embed::rows());
  check_single(check, norm::select(), norm::rows());
  check_single(check, pool::select(), pool::rows());
  for (const quantise::Row& form : quantise::rows()) {
    check(quantise::select(form.code), quantise::rows(),
          [&](const auto& row) { return row.code == form.code; });
  }
  for (const scan::Row& form : scan::rows()) {
    check(scan::select(form.codes), scan::rows(), [&](const auto& row) { return row.codes == form.codes; });
  }
  for (const simd::Row& form : simd::rows()) {
    check(simd::select(form.map), simd::rows(), [&](const auto& row) { return row.map == form.map; });
  }
  for (const qmatmul::Row& form : qmatmul::rows()) {
    for (const int64_t m : {1, 2, 3, 8, 256}) {
      check(qmatmul::select(form.activation, form.weight, m), qmatmul::rows(), [&](const auto& row) {
        return row.activation == form.activation && row.weight == form.weight && row.min_m <= m;
      });
    }
  }
}

}  // namespace

void test_dispatch(Report& report) {
  const char* before = std::getenv(kVariable);
  const std::string kept = before == nullptr ? "" : before;
  set_cap("");
  const std::vector<IsaInfo> isas = isa_report();
  int checks = 0;
  for (const IsaInfo& cap : isas) {
    set_cap(std::string(cap.name));
    Check check(report, cap.isa, isas);
    check_all(check);
    checks += check.checks;
  }
  set_cap(kept);
  std::printf("ok dispatch %d choices under %zu caps\n", checks, isas.size());
}

}  // namespace arrowmind::isa_test
