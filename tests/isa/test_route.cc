#include "buffer.h"
#include "kernels/route/route.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t rows, experts, top, groups, kept;
  bool sigmoid, biased, rough;
  uint64_t seed;
  std::string text() const {
    return cat(rows, " rows, ", top, " of ", experts, " experts, ", kept, " of ", groups, " groups",
               sigmoid ? ", sigmoid" : "", biased ? ", bias" : "", rough ? ", special values" : "");
  }
};

Outcome run(const route::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t stride = one.experts + 3;
  const Buffer<float> x =
      filled<float>(one.rows * stride - 3, [&] { return one.rough ? random.rough() : random.real(); });
  const Buffer<float> bias = filled<float>(one.experts, [&] { return random.real(); });
  Buffer<float> out = filled<float>(one.rows * (2 * one.top + 1) - 1, [] { return -7.0f; });
  route::Params p;
  p.x = x.data();
  p.x_stride = stride;
  p.experts = one.experts;
  p.top = one.top;
  p.score = one.sigmoid ? route::Score::kSigmoid : route::Score::kSoftmax;
  p.bias = one.biased ? bias.data() : nullptr;
  p.groups = one.groups;
  p.kept = one.kept;
  p.group_score =
      one.sigmoid && one.groups > 1 ? route::GroupScore::kTwoLargest : route::GroupScore::kLargest;
  p.normalised = one.biased;
  p.factor = 2.5f;
  p.out = out.data();
  p.out_stride = 2 * one.top + 1;
  p.end = one.rows;
  row.run(p);
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_route(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t experts : {1, 8, 15, 17, 64, 128}) {
    for (const bool sigmoid : {false, true}) {
      const int64_t groups = experts % 8 == 0 && experts > 8 ? 8 : 1;
      const int64_t top = experts < 4 ? experts : 4;
      cases.push_back(
          {3, experts, top, groups, groups == 1 ? 1 : 3, sigmoid, sigmoid, experts == 17, ++seed});
    }
  }
  check_rows(report, route::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
