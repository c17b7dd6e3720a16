// quantise: 64 tokens of the two widths that meet matrices in a MiniLM block.

#include "float_rows.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kRows = 64;

void bench_width(Report& report, int64_t width, quantise::Code code) {
  AlignedBuffer x = normal_floats(kRows * width);
  AlignedBuffer codes(kRows * width * 2);
  AlignedBuffer scale(kRows * 4);
  AlignedBuffer sum(kRows * 4);
  AlignedBuffer zero(kRows * 4);
  AlignedBuffer multiplier = normal_floats(width);
  const bool wide = code == quantise::Code::kI16;
  quantise::Params p;
  p.x = x.as<float>();
  p.x_stride = p.width = width;
  p.end = kRows;
  p.multiplier = multiplier.as<float>();
  p.out = {.codes = codes.as<void>(),
           .stride = width,
           .scale = scale.as<float>(),
           .sum = sum.as<int32_t>(),
           .zero = zero.as<int32_t>(),
           .limit = qmatmul::activation_limit(width)};
  FloatCase what;
  what.shape = cat(kRows, " x ", width);
  what.bytes = static_cast<double>(kRows * width) * (wide ? 6 : 5);
  what.output = codes.as<void>();
  what.output_bytes = static_cast<size_t>(kRows * width) * (wide ? 2 : 1);
  bench_rows(
      report, quantise::rows(), what, [&](const quantise::Row& row) { return row.code == code; },
      [&](const quantise::Row& row) { row.run(p); });
}

void run(Report& report) {
  for (const int64_t width : {384, 1536}) {
    bench_width(report, width, quantise::Code::kI8);
    bench_width(report, width, quantise::Code::kI16);
  }
}

const Registration op("quantise", run);

}  // namespace
}  // namespace arrowmind::bench
