#include "buffer.h"
#include "kernels/activate/activate.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  activate::Kind kind;
  int64_t rows, width;
  bool gated, rough;
  uint64_t seed;
  std::string text() const {
    return cat("kind ", static_cast<int>(kind), ", ", rows, " rows of ", width, gated ? ", gated" : "",
               rough ? ", special values" : "");
  }
};

Outcome run(const activate::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t stride = 2 * one.width + 1;
  const Buffer<float> x =
      filled<float>(one.rows * stride - 1, [&] { return one.rough ? random.rough() : random.real(); });
  Buffer<float> out = filled<float>(one.rows * (one.width + 3) - 3, [] { return -7.0f; });
  activate::Params p;
  p.kind = one.kind;
  p.cap = 3.0f;
  p.x = x.data();
  p.up = one.gated ? p.x + one.width : nullptr;
  p.stride = stride;
  p.width = one.width;
  p.out = out.data();
  p.out_stride = one.width + 3;
  p.end = one.rows;
  row.run(p);
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_activate(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const activate::Kind kind : {activate::Kind::kSilu, activate::Kind::kGelu, activate::Kind::kGeluTanh,
                                    activate::Kind::kCap, activate::Kind::kQuickGelu}) {
    for (const int64_t width : {1, 15, 16, 17, 65}) {
      cases.push_back({kind, 3, width, width % 2 == 1, width == 65, ++seed});
    }
  }
  check_rows(report, activate::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
