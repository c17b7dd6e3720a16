// The largest of a row, by a group of threads.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = 256, kWarps = kThreads / 32;

struct Found {
  float value;
  uint32_t column, damaged;  // not 0: a NaN was met
};

// Of equals the first.
ARROWMIND_DEVICE Found better(const Found& a, const Found& b) {
  const bool takes_b = b.value > a.value || (b.value == a.value && b.column < a.column);
  return {takes_b ? b.value : a.value, takes_b ? b.column : a.column, a.damaged | b.damaged};
}

}  // namespace

ARROWMIND_KERNEL(kThreads, highest, const float* x, uint32_t* out, ColumnsParameters p) {
  ARROWMIND_SHARED(Found, held, kWarps);
  const float* row = x + group_y() * uint64_t{p.in_stride};
  Found found = {-__builtin_huge_valf(), 0xffffffffu, 0};
  for (uint32_t column = thread(); column < p.width; column += kThreads) {
    const float value = row[column];
    found = better(found, {value, column, value != value ? 1u : 0u});
  }
  for (int step = 16; step > 0; step /= 2) {
    found = better(found, {shuffle_xor(found.value, step), shuffle_xor(found.column, step),
                           shuffle_xor(found.damaged, step)});
  }
  if (lane() == 0) held[warp()] = found;
  barrier();
  if (thread() != 0) return;
  for (uint32_t i = 1; i < kWarps; ++i) found = better(found, held[i]);
  uint32_t* to = out + group_y() * uint64_t{p.out_stride};
  to[0] = found.column;
  to[1] = found.damaged != 0 ? 0x7fc00000u : bits_of(found.value);
}
