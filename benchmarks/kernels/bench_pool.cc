// pool: mean and unit length of one sequence.

#include "float_rows.h"
#include "kernels/pool/pool.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kWidth = 384;

void run(Report& report) {
  for (const int32_t length : {16, 128}) {
    AlignedBuffer x = normal_floats(length * kWidth);
    AlignedBuffer out(kWidth * 4);
    const int32_t offsets[] = {0, length};
    pool::Params p;
    p.x = x.as<float>();
    p.x_stride = p.width = p.out_stride = kWidth;
    p.offsets = offsets;
    p.normalise = true;
    p.out = out.as<float>();
    p.end = 1;
    FloatCase what;
    what.shape = cat(length, " x ", kWidth);
    what.bytes = static_cast<double>((length + 1) * kWidth * 4);
    what.output = p.out;
    what.output_bytes = static_cast<size_t>(kWidth) * 4;
    bench_rows(
        report, pool::rows(), what, [](const pool::Row&) { return true; },
        [&](const pool::Row& row) { row.run(p); });
  }
}

const Registration op("pool", run);

}  // namespace
}  // namespace arrowmind::bench
