// A group normalises one piece of a row, with the bits of the CPU. y may be x: it is written behind the last
// barrier that others read before.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {
constexpr uint32_t kThreads = 128;
}

ARROWMIND_KERNEL(kThreads, norm, const float* x, const float* gamma, const float* beta, float* y,
                 NormParameters p) {
  ARROWMIND_SHARED(float, lanes, 64);
  const uint32_t row = group_y(), first = p.first + group_z() * p.width;
  const float* in = x + row * uint64_t{p.x_stride} + first;
  float* out = y + row * uint64_t{p.y_stride} + first;
  const bool is_layer = (p.flags & kHasBeta) != 0;
  const float width = static_cast<float>(p.width);
  float mean = 0.0f;
  if (is_layer) mean = sum_in_lanes(p.width, lanes, [&](uint32_t k) { return in[k]; }) / width;
  const float squares = sum_in_lanes(p.width, lanes, [&](uint32_t k) {
    const float distance = in[k] - mean;
    return distance * distance;
  });
  const float inverse = 1.0f / square_root(squares / width + p.epsilon);
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const float unit = (in[k] - mean) * inverse;
    out[k] = is_layer ? fused(unit, gamma[k], beta[k]) : unit * gamma[k];
  }
}
