// A group makes the vector of a sequence: a thread has the same columns throughout.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = 128;

ARROWMIND_DEVICE float pooled(const float* x, uint32_t begin, uint32_t end, const PoolParameters& p,
                              uint32_t column) {
  if (begin >= end) return 0.0f;
  const uint64_t stride = p.x_stride;
  if (p.mode != kPoolMean) return x[(p.mode == kPoolFirst ? begin : end - 1) * stride + column];
  float sum = 0.0f;
  for (uint32_t row = begin; row < end; ++row) sum += x[row * stride + column];
  return sum / static_cast<float>(end - begin);
}

}  // namespace

ARROWMIND_KERNEL(kThreads, pool, const float* x, const int32_t* offsets, float* out, PoolParameters p) {
  ARROWMIND_SHARED(float, lanes, 64);
  const uint32_t sequence = group_y();
  const auto begin = static_cast<uint32_t>(offsets[sequence]),
             end = static_cast<uint32_t>(offsets[sequence + 1]);
  float* vector = out + sequence * uint64_t{p.width};
  for (uint32_t column = thread(); column < p.width; column += kThreads) {
    vector[column] = pooled(x, begin, end, p, column);
  }
  if ((p.flags & kNormalise) == 0) return;
  barrier();
  const float length =
      square_root(sum_in_lanes(p.width, lanes, [&](uint32_t k) { return vector[k] * vector[k]; }));
  const float norm = most(1e-12f, length);  // a NaN stays
  for (uint32_t column = thread(); column < p.width; column += kThreads)
    vector[column] = vector[column] / norm;
}
