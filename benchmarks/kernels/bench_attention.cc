// attention: one sequence of the lengths an encoder sees, all heads of a hidden width of 384.

#include "float_rows.h"
#include "kernels/attention/attention.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kWidth = 384;

void bench_length(Report& report, int64_t length, int64_t head_dim) {
  AlignedBuffer qkv = normal_floats(length * 3 * kWidth);
  AlignedBuffer out(length * kWidth * 4);
  AlignedBuffer scratch(attention::scratch_bytes(length, head_dim));
  const int32_t offsets[] = {0, static_cast<int32_t>(length)};
  attention::Params p;
  p.q = qkv.as<float>();
  p.k = p.q + kWidth;
  p.v = p.k + kWidth;
  p.qkv_stride = 3 * kWidth;
  p.offsets = offsets;
  p.heads = p.key_heads = kWidth / head_dim;
  p.head_dim = head_dim;
  p.scale = 0.125f;
  p.out = out.as<float>();
  p.out_stride = kWidth;
  p.end = p.heads;
  p.scratch = scratch.as<void>();
  FloatCase what;
  what.shape = cat(length, " x ", p.heads, " x ", head_dim);
  what.operations = 4.0 * static_cast<double>(length * length * kWidth);
  what.bytes = static_cast<double>(length * kWidth * 16);
  what.output = p.out;
  what.output_bytes = static_cast<size_t>(length * kWidth) * 4;
  bench_rows(
      report, attention::rows(), what, [](const attention::Row&) { return true; },
      [&](const attention::Row& row) { row.run(p); });
}

void run(Report& report) {
  for (const int64_t head_dim : {32, 64}) {
    for (const int64_t length : {16, 51, 128, 256}) bench_length(report, length, head_dim);
  }
  bench_length(report, 1024, 32);
}

const Registration op("attention", run);

}  // namespace
}  // namespace arrowmind::bench
