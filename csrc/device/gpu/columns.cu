// Rows of columns, one element a thread: sums, products and copies of them.
#include "device/gpu/columns.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_KERNEL(kColumnThreads, sum, const float* in, float* out, ColumnsParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    out[row * uint64_t{p.out_stride} + column] += in[row * uint64_t{p.in_stride} + column];
  });
}

ARROWMIND_KERNEL(kColumnThreads, multiply, const float* in, const float* multiplier, float* out,
                 ColumnsParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    out[row * uint64_t{p.out_stride} + column] =
        in[row * uint64_t{p.in_stride} + column] * multiplier[column];
  });
}

ARROWMIND_KERNEL(kColumnThreads, copy, const float* in, float* out, CopyParameters p) {
  const uint32_t from = p.from_first + group_z() * p.from_step, to = p.to_first + group_z() * p.to_step;
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    out[row * uint64_t{p.out_stride} + to + column] = in[row * uint64_t{p.in_stride} + from + column];
  });
}

ARROWMIND_KERNEL(kColumnThreads, clear, float*, float* out, CopyParameters p) {
  const uint32_t to = p.to_first + group_z() * p.to_step;
  each_row(p.width, p.rows,
           [&](uint32_t row, uint32_t column) { out[row * uint64_t{p.out_stride} + to + column] = 0.0f; });
}
