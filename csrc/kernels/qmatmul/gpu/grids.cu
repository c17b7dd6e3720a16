// Float activations, weights on a grid.
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_LINEAR_KERNEL(linear_f32_i8g, many_floats<I8Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i4g, many_floats<I4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i2g, many_floats<I2Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_fp4g, many_floats<Fp4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_t2g, many_floats<Trellis2>)
ARROWMIND_LINEAR_KERNEL(linear_f32_t3g, many_floats<Trellis3>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i8g_few, few_floats<I8Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i4g_few, few_floats<I4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i2g_few, few_floats<I2Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_fp4g_few, few_floats<Fp4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_f32_t2g_few, few_floats<Trellis2>)
ARROWMIND_LINEAR_KERNEL(linear_f32_t3g_few, few_floats<Trellis3>)
