// Codes of activations: int8 weights, and weights on a grid.
#include "kernels/qmatmul/gpu/many_codes.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_LINEAR_KERNEL(linear_i8_i8, many_integers)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i8g, many_blocks<I8Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i4g, many_blocks<I4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i2g, many_blocks<I2Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_fp4g, many_blocks<Fp4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_t2g, many_blocks<Trellis2>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_t3g, many_blocks<Trellis3>)
ARROWMIND_LINEAR_KERNEL(linear_i8_i8_few, few_integers)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i8g_few, few_block_rows<I8Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i4g_few, few_block_rows<I4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_i2g_few, few_block_rows<I2Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_fp4g_few, few_block_rows<Fp4Grid>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_t2g_few, few_block_rows<Trellis2>)
ARROWMIND_LINEAR_KERNEL(linear_i8b_t3g_few, few_block_rows<Trellis3>)
ARROWMIND_LINEAR_KERNEL(linear_i16_i8, few_words)
