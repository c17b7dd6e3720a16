// Float activations, weights of floats and of int8.
#include "kernels/qmatmul/gpu/many.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_LINEAR_KERNEL(linear_f32_f32, many_floats<F32Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_f16, many_floats<F16Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_bf16, many_floats<Bf16Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i8, many_floats<I8Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_f32_few, few_floats<F32Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_f16_few, few_floats<F16Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_bf16_few, few_floats<Bf16Weights>)
ARROWMIND_LINEAR_KERNEL(linear_f32_i8_few, few_floats<I8Weights>)
