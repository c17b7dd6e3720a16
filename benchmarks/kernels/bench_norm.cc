// norm: 64 tokens, alone and with the codes for the next matrix.

#include "float_rows.h"
#include "kernels/norm/norm.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kRows = 64;

void bench_width(Report& report, int64_t width, norm::Codes codes) {
  AlignedBuffer x = normal_floats(kRows * width);
  AlignedBuffer weights = normal_floats(2 * width);
  AlignedBuffer y(kRows * width * 4);
  AlignedBuffer code(kRows * width * 2);
  AlignedBuffer scale(kRows * 4);
  AlignedBuffer sum(kRows * 4);
  norm::Params p;
  p.x = x.as<float>();
  p.y = y.as<float>();
  p.x_stride = p.y_stride = p.width = width;
  p.gamma = weights.as<float>();
  p.beta = weights.as<float>() + width;
  p.eps = 1e-12f;
  p.codes = codes;
  p.out = {code.as<void>(), width, scale.as<float>(), sum.as<int32_t>(), qmatmul::activation_limit(width)};
  p.end = kRows;
  FloatCase what;
  what.shape = cat(kRows, " x ", width, codes == norm::Codes::kNone ? "" : " int16");
  what.bytes = static_cast<double>(kRows * width) * (codes == norm::Codes::kNone ? 8 : 10);
  what.output = codes == norm::Codes::kNone ? y.as<void>() : code.as<void>();
  what.output_bytes = static_cast<size_t>(kRows * width) * (codes == norm::Codes::kNone ? 4 : 2);
  bench_rows(
      report, norm::rows(), what, [](const norm::Row&) { return true; },
      [&](const norm::Row& row) { row.run(p); });
}

void run(Report& report) {
  for (const int64_t width : {384, 1024}) {
    bench_width(report, width, norm::Codes::kNone);
    bench_width(report, width, norm::Codes::kI16);
  }
}

const Registration op("norm", run);

}  // namespace
}  // namespace arrowmind::bench
