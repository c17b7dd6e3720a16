// Float activations in groups, weights of floats and of int8.
#include "kernels/qmatmul/gpu/grouped.h"
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_GROUPED_KERNEL(linear_f32_f32_grouped, F32Weights, 4, false, many_floats<F32Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_f16_grouped, F16Weights, 4, false, many_floats<F16Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_bf16_grouped, Bf16Weights, 4, false, many_floats<Bf16Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i8_grouped, I8Weights, 4, false, many_floats<I8Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_f32_grouped_few, F32Weights, 4, false, few_floats<F32Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_f16_grouped_few, F16Weights, 4, false, few_floats<F16Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_bf16_grouped_few, Bf16Weights, 4, false, few_floats<Bf16Weights>)
ARROWMIND_GROUPED_KERNEL(linear_f32_i8_grouped_few, I8Weights, 4, false, few_floats<I8Weights>)
