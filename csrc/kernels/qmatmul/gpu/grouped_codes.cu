// Codes of activations in groups.
#include "kernels/qmatmul/gpu/grouped.h"
#include "kernels/qmatmul/gpu/many_codes.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_GROUPED_KERNEL(linear_i8_i8_grouped, I8Weights, 1, false, many_integers)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i8g_grouped, I8Grid, 1, true, many_blocks<I8Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i4g_grouped, I4Grid, 1, true, many_blocks<I4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i2g_grouped, I2Grid, 1, true, many_blocks<I2Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_fp4g_grouped, Fp4Grid, 1, true, many_blocks<Fp4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_t2g_grouped, Trellis2, 1, true, many_blocks<Trellis2>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_t3g_grouped, Trellis3, 1, true, many_blocks<Trellis3>)
ARROWMIND_GROUPED_KERNEL(linear_i8_i8_grouped_few, I8Weights, 1, false, few_integers)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i8g_grouped_few, I8Grid, 1, true, few_block_rows<I8Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i4g_grouped_few, I4Grid, 1, true, few_block_rows<I4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_i2g_grouped_few, I2Grid, 1, true, few_block_rows<I2Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_fp4g_grouped_few, Fp4Grid, 1, true, few_block_rows<Fp4Grid>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_t2g_grouped_few, Trellis2, 1, true, few_block_rows<Trellis2>)
ARROWMIND_GROUPED_KERNEL(linear_i8b_t3g_grouped_few, Trellis3, 1, true, few_block_rows<Trellis3>)
ARROWMIND_GROUPED_KERNEL(linear_i16_i8_grouped, I8Weights, 2, false, all_words)
