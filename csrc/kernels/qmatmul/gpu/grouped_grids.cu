// Float activations in groups, weights on a grid.
#include "kernels/qmatmul/gpu/grouped.h"
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_GROUPED_KERNEL(linear_f32_i8g_grouped, I8Grid, 4, false, many_floats<I8Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i4g_grouped, I4Grid, 4, false, many_floats<I4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i2g_grouped, I2Grid, 4, false, many_floats<I2Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_fp4g_grouped, Fp4Grid, 4, false, many_floats<Fp4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_t2g_grouped, Trellis2, 4, false, many_floats<Trellis2>)
ARROWMIND_GROUPED_KERNEL(linear_f32_t3g_grouped, Trellis3, 4, false, many_floats<Trellis3>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i8g_grouped_few, I8Grid, 4, false, few_floats<I8Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i4g_grouped_few, I4Grid, 4, false, few_floats<I4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i2g_grouped_few, I2Grid, 4, false, few_floats<I2Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_fp4g_grouped_few, Fp4Grid, 4, false, few_floats<Fp4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_f32_t2g_grouped_few, Trellis2, 4, false, few_floats<Trellis2>)
ARROWMIND_GROUPED_KERNEL(linear_f32_t3g_grouped_few, Trellis3, 4, false, few_floats<Trellis3>)
