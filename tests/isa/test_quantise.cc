#include "buffer.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t rows, width, gap;
  bool multiplier, rough, outputs_left_out;
  uint64_t seed;
  std::string text() const {
    return cat(rows, " rows of ", width, ", ", gap, " between", multiplier ? ", multiplied" : "",
               rough ? ", special values" : "", outputs_left_out ? ", no sums" : "");
  }
};

// Row 0 ordinary, row 1 nothing, row 2 all of one sign, then whatever comes.
float element(Random& random, const Case& one, int64_t row) {
  if (row == 1) return 0x1p-100f;
  if (row == 2) return 1.0f + random.real() * 0.01f;
  return one.rough ? random.rough() : random.real();
}

template <typename Code>
Outcome run_as(const quantise::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t stride = one.width + one.gap;
  Buffer<float> x(one.rows * stride - one.gap);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = element(random, one, i / stride);
  const Buffer<float> multiplier = filled<float>(one.width, [&] { return random.real(); });
  const int64_t padded = (one.width + 3) / 4 * 4;
  const int64_t code_stride = padded + 4 * one.gap;
  Buffer<Code> codes = filled<Code>(one.rows * code_stride - 4 * one.gap, [] { return 77; });
  Buffer<float> scale = filled<float>(one.rows, [] { return -7.0f; });
  Buffer<int32_t> sum = filled<int32_t>(one.rows, [] { return -7; });
  Buffer<int32_t> zero = filled<int32_t>(one.rows, [] { return -7; });
  quantise::Params p;
  p.x = x.data();
  p.x_stride = stride;
  p.width = one.width;
  p.multiplier = one.multiplier ? multiplier.data() : nullptr;
  p.end = one.rows;
  p.out.codes = codes.data();
  p.out.stride = code_stride;
  p.out.scale = scale.data();
  p.out.sum = one.outputs_left_out ? nullptr : sum.data();
  p.out.zero = one.outputs_left_out && sizeof(Code) == 2 ? nullptr : zero.data();
  p.out.limit = qmatmul::activation_limit(one.width);
  row.run(p);
  Outcome out{{scale.begin(), scale.end()}, {codes.begin(), codes.end()}};
  out.codes.insert(out.codes.end(), sum.begin(), sum.end());
  out.codes.insert(out.codes.end(), zero.begin(), zero.end());
  return out;
}

Outcome run_blocks(const quantise::Row& row, const Case& one) {
  Random random(one.seed);
  constexpr int64_t kGroups[] = {0, 16, 32, 64, 128};
  const int64_t group = kGroups[one.seed % 5];
  const int64_t block = grid::block_of(group), part = grid::part_of(group);
  const int64_t padded = (one.width + block - 1) / block * block;
  const int64_t stride = one.width + one.gap;
  Buffer<float> x(one.rows * stride - one.gap);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = element(random, one, i / stride);
  const Buffer<float> multiplier = filled<float>(one.width, [&] { return random.real(); });
  Buffer<int8_t> codes = filled<int8_t>(one.rows * padded, [] { return 77; });
  Buffer<float> scale = filled<float>(one.rows * padded / block, [] { return -7.0f; });
  Buffer<int32_t> sum = filled<int32_t>(one.rows * padded / part, [] { return -7; });
  quantise::Params p;
  p.x = x.data();
  p.x_stride = stride;
  p.width = one.width;
  p.multiplier = one.multiplier ? multiplier.data() : nullptr;
  p.end = one.rows;
  p.out.codes = codes.data();
  p.out.stride = padded;
  p.out.scale = scale.data();
  p.out.sum = sum.data();
  p.out.block = block;
  p.out.part = part;
  row.run(p);
  Outcome out{{scale.begin(), scale.end()}, {codes.begin(), codes.end()}};
  out.codes.insert(out.codes.end(), sum.begin(), sum.end());
  return out;
}

Outcome run(const quantise::Row& row, const Case& one) {
  if (row.code == quantise::Code::kI8Block) return run_blocks(row, one);
  return row.code == quantise::Code::kI8 ? run_as<int8_t>(row, one) : run_as<int16_t>(row, one);
}

}  // namespace

void test_quantise(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t width : {1, 3, 4, 15, 16, 17, 18, 31, 32, 33, 64, 384, 1536}) {
    for (const bool flag : {false, true}) {
      cases.push_back({flag ? 1 : 5, width, flag ? 0 : 2, flag, false, flag && width % 3 == 0, ++seed});
      cases.push_back({7, width, 0, flag, true, false, ++seed});
    }
  }
  check_rows(
      report, quantise::rows(), cases, [](const auto& a, const auto& b) { return a.code == b.code; }, run);
}

}  // namespace arrowmind::isa_test
