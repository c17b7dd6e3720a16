#include "buffer.h"
#include "kernels/rope/rope.h"
#include "kernels/rope/turns.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t rows, heads, head_dim, rotated;
  bool rough, interleaved;
  uint64_t seed;
  std::string text() const {
    return cat(rows, " rows of ", heads, " heads of ", head_dim, ", ", rotated, " turned",
               interleaved ? ", neighbours" : "", rough ? ", special values" : "");
  }
};

Outcome run(const rope::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t stride = one.heads * one.head_dim + 5;
  const int64_t half = one.rotated / 2;
  Buffer<float> x =
      filled<float>(one.rows * stride - 5, [&] { return one.rough ? random.rough() : random.real(); });
  Buffer<float> turns(one.rows * one.rotated);
  const Buffer<float> frequencies = filled<float>(half, [&] { return std::fabs(random.real()); });
  for (int64_t i = 0; i < one.rows; ++i) {
    float* place = turns.data() + i * one.rotated;
    rope::fill_turns(static_cast<int32_t>(random.whole(0, 1 << 20)), frequencies.data(), half, 1.25f, place,
                     place + half);
  }
  rope::Params p;
  p.x = x.data();
  p.x_stride = stride;
  p.heads = one.heads;
  p.head_dim = one.head_dim;
  p.rotated = one.rotated;
  p.interleaved = one.interleaved;
  p.turns = turns.data();
  p.turns_stride = one.rotated;
  p.end = one.rows;
  row.run(p);
  return {{x.begin(), x.end()}, {}};
}

}  // namespace

void test_rope(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t rotated : {2, 8, 30, 32, 34, 64, 128}) {
    cases.push_back({4, 3, rotated, rotated, rotated == 34, false, ++seed});
    cases.push_back({2, 2, rotated + 6, rotated, false, rotated != 8, ++seed});
  }
  check_rows(report, rope::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test
