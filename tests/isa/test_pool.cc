#include "buffer.h"
#include "kernels/pool/pool.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t width, gap;
  pool::Mode mode;
  bool normalise, rough;
  uint64_t seed;
  std::string text() const {
    return cat("width ", width, ", ", gap, " between, mode ", static_cast<int>(mode),
               normalise ? ", normalised" : "", rough ? ", special values" : "");
  }
};

Outcome run(const pool::Row& row, const Case& one) {
  static constexpr int32_t kOffsets[] = {0, 1, 1, 8, 9, 31};
  constexpr int64_t kSequences = 5;
  constexpr int64_t kTokens = 31;
  Random random(one.seed);
  const int64_t stride = one.width + one.gap;
  const Buffer<float> x =
      filled<float>(kTokens * stride - one.gap, [&] { return one.rough ? random.rough() : random.real(); });
  Buffer<float> y = filled<float>(kSequences * stride - one.gap, [] { return -7.0f; });
  pool::Params p;
  p.x = x.data();
  p.x_stride = p.out_stride = stride;
  p.width = one.width;
  p.offsets = kOffsets;
  p.mode = one.mode;
  p.normalise = one.normalise;
  p.out = y.data();
  p.end = kSequences;
  row.run(p);
  return {{y.begin(), y.end()}, {}};
}

}  // namespace

void test_pool(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t width : {1, 5, 15, 16, 17, 63, 64, 100, 384}) {
    for (const pool::Mode mode : {pool::Mode::kMean, pool::Mode::kFirst, pool::Mode::kLast}) {
      for (const bool normalise : {false, true}) {
        cases.push_back({width, width % 2 == 0 ? 0 : 3, mode, normalise, width == 5, ++seed});
      }
    }
  }
  check_rows(report, pool::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
