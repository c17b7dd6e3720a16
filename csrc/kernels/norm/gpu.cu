// A group normalises one piece of a row; a thread has the same columns in each pass, so y may be x.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {
constexpr uint32_t kThreads = 128;
}

ARROWMIND_KERNEL(kThreads, norm, const float* x, const float* gamma, const float* beta, float* y,
                 NormParameters p) {
  ARROWMIND_SHARED(float, scratch, kThreads / 32);
  const uint32_t row = group_y(), first = p.first + group_z() * p.width;
  const float* in = x + row * uint64_t{p.x_stride} + first;
  float* out = y + row * uint64_t{p.y_stride} + first;
  const bool is_layer = (p.flags & kHasBeta) != 0;
  const float width = static_cast<float>(p.width);
  float mean = 0.0f;
  if (is_layer) {
    for (uint32_t k = thread(); k < p.width; k += kThreads) mean += in[k];
    mean = fold_group<kThreads / 32>(mean, scratch, Sum()) / width;
  }
  float squares = 0.0f;
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const float distance = in[k] - mean;
    squares = fused(distance, distance, squares);
  }
  squares = fold_group<kThreads / 32>(squares, scratch, Sum());
  const float inverse = 1.0f / square_root(squares / width + p.epsilon);
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const float unit = (in[k] - mean) * inverse;
    out[k] = is_layer ? fused(unit, gamma[k], beta[k]) : unit * gamma[k];
  }
}
