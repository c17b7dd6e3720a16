// A thread turns one pair of a head of a row.
#include "device/gpu/columns.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

ARROWMIND_KERNEL(kColumnThreads, rope, float* x, const float* turns, RopeParameters p) {
  const uint32_t pairs = p.rotated / 2;
  const bool interleaved = (p.flags & kInterleaved) != 0;
  each_row(pairs, p.rows, [&](uint32_t row, uint32_t pair) {
    const float* turn = turns + row * uint64_t{p.turns_stride} + pair;
    const float cosine = turn[0], sine = turn[pairs];
    float* head = x + row * uint64_t{p.x_stride} + p.first + group_z() * p.head_dim;
    float* a = head + (interleaved ? 2 * pair : pair);
    float* b = interleaved ? a + 1 : a + pairs;
    const float left = *a, right = *b;
    *a = left * cosine - right * sine;
    *b = right * cosine + left * sine;
  });
}
