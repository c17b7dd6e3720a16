// The two kernels that prove a back end.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_KERNEL(1024, fill_u32, uint32_t* out, FillParameters p) {
  if (item() < p.count) out[item()] = p.value;
}

ARROWMIND_KERNEL(1024, add_f32, const float* a, const float* b, float* out, AddParameters p) {
  if (item() < p.count) out[item()] = a[item()] + b[item()];
}
