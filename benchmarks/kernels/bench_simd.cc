// simd: the functions of the encoder's inner loops over an array that the first cache holds.

#include "float_rows.h"
#include "kernels/simd/simd.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kSize = 3072;

void run(Report& report) {
  AlignedBuffer x = normal_floats(kSize);
  AlignedBuffer y(kSize * 4);
  const simd::Params p = {x.as<float>(), y.as<float>(), kSize};
  FloatCase what;
  what.shape = cat(kSize);
  what.bytes = static_cast<double>(kSize * 8);
  what.output = p.y;
  what.output_bytes = static_cast<size_t>(kSize) * 4;
  for (const simd::Map map : {simd::Map::kExp, simd::Map::kExp2, simd::Map::kGelu}) {
    bench_rows(
        report, simd::rows(), what, [&](const simd::Row& row) { return row.map == map; },
        [&](const simd::Row& row) { row.run(p); });
  }
}

const Registration op("simd", run);

}  // namespace
}  // namespace arrowmind::bench
