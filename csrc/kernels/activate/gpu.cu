#include "device/gpu/columns.h"
#include "device/gpu/math.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

ARROWMIND_DEVICE float activated(uint32_t kind, float x, float cap) {
  switch (kind) {
    case kSilu:
      return silu(x);
    case kGelu:
      return gelu(x);
    case kGeluTanh:
      return gelu_tanh(x);
    case kCap:
      return soft_cap(x, cap);
    default:
      return quick_gelu(x);
  }
}

}  // namespace

ARROWMIND_KERNEL(kColumnThreads, activate, const float* x, float* out, ActivateParameters p) {
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t column) {
    const float* from = x + row * uint64_t{p.x_stride} + column;
    const float value = activated(p.kind, *from, p.cap);
    out[row * uint64_t{p.out_stride} + column] = (p.flags & kGated) != 0 ? value * from[p.width] : value;
  });
}
