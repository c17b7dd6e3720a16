// Float activations, each rounded to the nearest bfloat16, and so are weights that are not exact in one.
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
