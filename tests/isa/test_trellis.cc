#include "base/aligned_buffer.h"
#include "buffer.h"
#include "kernels/trellis/trellis.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int bits;
  int64_t rows, k, group;
  bool weighted, follows;
  uint64_t seed;
  std::string text() const {
    return cat(bits, " bits, ", rows, " x ", k, ", groups of ", group, weighted ? ", weights" : "",
               follows ? ", codes before" : "");
  }
};

Outcome run(const trellis::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t groups = ceil_div(one.k, one.group);
  const Buffer<float> values = filled<float>(one.rows * one.k, [&] { return random.real(); });
  const Buffer<float> scales =
      filled<float>(one.rows * groups, [&] { return 0.1f + 0.05f * (random.real() + 1.0f); });
  const Buffer<float> weight = filled<float>(one.k, [&] { return 1.5f + random.real(); });
  const Buffer<uint8_t> states =
      filled<uint8_t>(one.rows * trellis::kStride, [&] { return random.whole(0, 255); });
  Buffer<uint8_t> codes(one.rows * one.k);
  Buffer<float> levels(one.rows * one.k);
  AlignedBuffer scratch(trellis::scratch_floats(one.k) * static_cast<int64_t>(sizeof(float)));
  trellis::Params p;
  p.bits = one.bits;
  p.rows = one.rows;
  p.k = one.k;
  p.values = values.data();
  p.scales = scales.data();
  p.group = one.group;
  p.weight = one.weighted ? weight.data() : nullptr;
  p.states = one.follows ? states.data() : nullptr;
  p.codes = codes.data();
  p.levels = levels.data();
  p.scratch = scratch.as<float>();
  row.run(p);
  return {{levels.begin(), levels.end()}, {codes.begin(), codes.end()}};
}

}  // namespace

void test_trellis(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int bits : {2, 3}) {
    for (const int64_t k : {1, 6, 33, 130}) {
      cases.push_back({bits, 1 + k % 16, k, k > 32 ? 32 : 4, k % 2 == 0, k > 6, ++seed});
      cases.push_back({bits, trellis::kLanes, k, 128, k % 2 == 1, false, ++seed});
    }
  }
  check_rows(report, trellis::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
