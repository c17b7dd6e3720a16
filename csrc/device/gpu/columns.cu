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

ARROWMIND_KERNEL(kColumnThreads, previous, const float* in, const int32_t* position, float* out,
                 CopyParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    const float* before = in + row * uint64_t{p.in_stride} + p.from_first + column - p.in_stride;
    out[row * uint64_t{p.out_stride} + p.to_first + column] = position[row] == 0 ? 0.0f : *before;
  });
}

ARROWMIND_KERNEL(kColumnThreads, scale_rows, const float* in, float* out, ColumnsParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    float* to = out + row * uint64_t{p.out_stride} + column;
    *to = *to * in[row * uint64_t{p.in_stride} + 1];
  });
}

ARROWMIND_KERNEL(kColumnThreads, move_rows, const uint32_t* in, const int32_t* from, const int32_t* to,
                 uint32_t* out, MoveRowsParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    const uint64_t source = (p.flags & kHasFrom) != 0 ? static_cast<uint32_t>(from[row]) : row;
    const uint64_t target = (p.flags & kHasTo) != 0 ? static_cast<uint32_t>(to[row]) : row;
    out[target * p.out_stride + column] = in[source * p.in_stride + column];
  });
}

ARROWMIND_KERNEL(kColumnThreads, combine, const float* in, const float* weights, const float* residual,
                 float* out, const int32_t* from, CombineParameters p) {
  const bool has_from = (p.flags & kHasFrom) != 0;
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    float sum = (p.flags & kHasResidual) != 0 ? residual[row * uint64_t{p.residual_stride} + column] : 0.0f;
    const float* weight = weights + row * uint64_t{p.weights_stride} + p.top;
    for (uint32_t i = 0; i < p.top; ++i) {
      const uint64_t pair = row * uint64_t{p.top} + i,
                     place = has_from ? static_cast<uint32_t>(from[pair]) : pair;
      sum = sum + weight[i] * in[place * p.in_stride + column];
    }
    out[row * uint64_t{p.out_stride} + column] = sum;
  });
}
