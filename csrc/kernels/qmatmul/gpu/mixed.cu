// Float activations, each rounded to the nearest bfloat16, and so are weights that are not exact in one.
#include "device/gpu/columns.h"
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_LINEAR_KERNEL(linear_bf16_f32, many_floats<F32Weights, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_f16, many_floats<F16Weights, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_bf16, many_floats<Bf16Weights, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_i8, many_floats<I8Weights, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_i8g, many_floats<I8Grid, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_i4g, many_floats<I4Grid, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_i2g, many_floats<I2Grid, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_fp4g, many_floats<Fp4Grid, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_t2g, many_floats<Trellis2, 1>)
ARROWMIND_LINEAR_KERNEL(linear_bf16_t3g, many_floats<Trellis3, 1>)

// A thread has a step of 16 k of a row: its four fours lie 16 k apart.
ARROWMIND_KERNEL(kColumnThreads, round_rows, const float* in, uint32_t* out, RoundRowsParameters p) {
  constexpr uint32_t kSteps = kRoundedChunk / kRoundedStep;
  const uint32_t steps = ceil_of(p.width, kRoundedChunk) * kSteps;
  const bool whole = p.in_stride % 4 == 0;
  each_row(steps, p.rows, [&](uint32_t row, uint32_t step) {
    const float* from = in + row * uint64_t{p.in_stride};
    const uint32_t first = step / kSteps * kRoundedChunk + step % kSteps * 4;
    Four halves[2];
    ARROWMIND_UNROLL
    for (uint32_t t = 0; t < 4; ++t) {
      float values[4];
      read_activations(from, first + t * kRoundedStep, p.width, whole, values);
      halves[0].word[t] = bf16_pair(values[0], values[1]);
      halves[1].word[t] = bf16_pair(values[2], values[3]);
    }
    auto* to = reinterpret_cast<Four*>(out) + (row * uint64_t{steps} + step) * 2;
    to[0] = halves[0];
    to[1] = halves[1];
  });
}
