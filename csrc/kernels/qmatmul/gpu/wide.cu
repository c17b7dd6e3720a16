// As mixed.cu, for large products on tensor cores; other devices do not offer it (device/gpu/launches.cc).
#include "kernels/qmatmul/gpu/wide.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

#if defined(ARROWMIND_ON_HOST) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800)
#define WIDE_KERNEL(name, W) ARROWMIND_LINEAR_KERNEL_OF(kWideThreads, name, wide_floats<W>)
#else
#define WIDE_KERNEL(name, W) ARROWMIND_LINEAR_KERNEL_OF(kWideThreads, name, (void))
#endif

WIDE_KERNEL(linear_bf16_f32_wide, F32Weights)
WIDE_KERNEL(linear_bf16_f16_wide, F16Weights)
WIDE_KERNEL(linear_bf16_bf16_wide, Bf16Weights)
WIDE_KERNEL(linear_bf16_i8_wide, I8Weights)
WIDE_KERNEL(linear_bf16_i8g_wide, I8Grid)
WIDE_KERNEL(linear_bf16_i4g_wide, I4Grid)
WIDE_KERNEL(linear_bf16_i2g_wide, I2Grid)
WIDE_KERNEL(linear_bf16_fp4g_wide, Fp4Grid)
WIDE_KERNEL(linear_bf16_t2g_wide, Trellis2)
WIDE_KERNEL(linear_bf16_t3g_wide, Trellis3)
