// As mixed.cu, of rows in groups.
#include "kernels/qmatmul/gpu/grouped.h"
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

#define MIXED_KERNEL(name, W) ARROWMIND_GROUPED_KERNEL(name, W, 4, false, many_floats<W, 1>)

MIXED_KERNEL(linear_bf16_f32_grouped, F32Weights)
MIXED_KERNEL(linear_bf16_f16_grouped, F16Weights)
MIXED_KERNEL(linear_bf16_bf16_grouped, Bf16Weights)
MIXED_KERNEL(linear_bf16_i8_grouped, I8Weights)
MIXED_KERNEL(linear_bf16_i8g_grouped, I8Grid)
MIXED_KERNEL(linear_bf16_i4g_grouped, I4Grid)
MIXED_KERNEL(linear_bf16_i2g_grouped, I2Grid)
MIXED_KERNEL(linear_bf16_fp4g_grouped, Fp4Grid)
MIXED_KERNEL(linear_bf16_t2g_grouped, Trellis2)
MIXED_KERNEL(linear_bf16_t3g_grouped, Trellis3)
