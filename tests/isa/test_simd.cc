#include "buffer.h"
#include "kernels/simd/simd.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t size;
  uint64_t seed;
  std::string text() const { return cat("size ", size); }
};

Outcome run(const simd::Row& row, const Case& one) {
  Random random(one.seed);
  const Buffer<float> x = filled<float>(one.size, [&] { return random.rough() * 4.0f; });
  Buffer<float> y(one.size);
  simd::Params p;
  p.x = x.data();
  p.y = y.data();
  p.size = one.size;
  row.run(p);
  return {{y.begin(), y.end()}, {}};
}

}  // namespace

void test_simd(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t size : {1, 3, 4, 7, 8, 11, 15, 16, 17, 31, 33, 48, 4096})
    cases.push_back({size, ++seed});
  check_rows(report, simd::rows(), cases, [](const auto& a, const auto& b) { return a.map == b.map; }, run);
}

}  // namespace arrowmind::isa_test
