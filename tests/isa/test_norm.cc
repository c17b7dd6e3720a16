#include "buffer.h"
#include "kernels/norm/norm.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t rows, width, gap;
  bool rough, rms;
  uint64_t seed;
  std::string text() const {
    return cat(rows, " rows of ", width, ", ", gap, " between", rough ? ", special values" : "",
               rms ? ", RMS" : "");
  }
};

Outcome run(const norm::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t stride = one.width + one.gap;
  const int64_t size = one.rows * stride - one.gap;
  const Buffer<float> x = filled<float>(size, [&] { return one.rough ? random.rough() : random.real(); });
  const Buffer<float> gamma = filled<float>(one.width, [&] { return random.real(); });
  const Buffer<float> beta = filled<float>(one.width, [&] { return random.real(); });
  Buffer<float> y = filled<float>(size, [] { return -7.0f; });
  norm::Params p;
  p.x = x.data();
  p.x_stride = p.y_stride = stride;
  p.y = y.data();
  p.width = one.width;
  p.gamma = gamma.data();
  p.beta = one.rms ? nullptr : beta.data();
  p.eps = 1e-12f;
  p.begin = one.rows > 2 ? 1 : 0;
  p.end = one.rows;
  row.run(p);
  return {{y.begin(), y.end()}, {}};
}

}  // namespace

void test_norm(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t width : {1, 3, 15, 16, 17, 47, 63, 64, 65, 129, 384}) {
    for (const int64_t rows : {1, 6}) {
      for (const bool rms : {false, true})
        cases.push_back({rows, width, rows == 1 ? 0 : 5, width % 16 == 15, rms, ++seed});
    }
  }
  check_rows(report, norm::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
