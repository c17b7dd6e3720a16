// norm: 64 tokens.

#include "float_rows.h"
#include "kernels/norm/norm.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kRows = 64;

void bench_width(Report& report, int64_t width) {
  AlignedBuffer x = normal_floats(kRows * width);
  AlignedBuffer weights = normal_floats(2 * width);
  AlignedBuffer y(kRows * width * 4);
  norm::Params p;
  p.x = x.as<float>();
  p.y = y.as<float>();
  p.x_stride = p.y_stride = p.width = width;
  p.gamma = weights.as<float>();
  p.beta = weights.as<float>() + width;
  p.eps = 1e-12f;
  p.end = kRows;
  FloatCase what;
  what.shape = cat(kRows, " x ", width);
  what.bytes = static_cast<double>(kRows * width) * 8;
  what.output = y.as<void>();
  what.output_bytes = static_cast<size_t>(kRows * width) * 4;
  bench_rows(
      report, norm::rows(), what, [](const norm::Row&) { return true; },
      [&](const norm::Row& row) { row.run(p); });
}

void run(Report& report) {
  for (const int64_t width : {384, 1024}) bench_width(report, width);
}

const Registration op("norm", run);

}  // namespace
}  // namespace arrowmind::bench
