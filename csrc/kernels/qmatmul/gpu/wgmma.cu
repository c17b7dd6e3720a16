// As wide.cu, for sm_90a alone: other devices do not offer these (device/gpu/launches.cc).
#include "kernels/qmatmul/gpu/wgmma.h"

#include "device/gpu/columns.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

#if ARROWMIND_HAS_WARPGROUPS
#define WGMMA_KERNEL(name, W) ARROWMIND_LINEAR_KERNEL_OF(kWideThreads, name, wgmma_floats<W>)
#else
#define WGMMA_KERNEL(name, W) ARROWMIND_LINEAR_KERNEL_OF(kWideThreads, name, (void))
#endif

WGMMA_KERNEL(linear_bf16_f32_wgmma, F32Weights)
WGMMA_KERNEL(linear_bf16_f16_wgmma, F16Weights)
WGMMA_KERNEL(linear_bf16_bf16_wgmma, Bf16Weights)
WGMMA_KERNEL(linear_bf16_i8_wgmma, I8Weights)
WGMMA_KERNEL(linear_bf16_i8g_wgmma, I8Grid)
WGMMA_KERNEL(linear_bf16_i4g_wgmma, I4Grid)
WGMMA_KERNEL(linear_bf16_i2g_wgmma, I2Grid)
WGMMA_KERNEL(linear_bf16_fp4g_wgmma, Fp4Grid)
WGMMA_KERNEL(linear_bf16_t2g_wgmma, Trellis2)
WGMMA_KERNEL(linear_bf16_t3g_wgmma, Trellis3)
