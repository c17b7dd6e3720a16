// Kernels that do what kernels must not, to see that running them tells.
#include "device/gpu/language.h"

using namespace arrowmind::device::gpu;

// Each thread reads what its neighbour may have written already, or not yet.
ARROWMIND_KERNEL(64, without_a_barrier, uint32_t* out) {
  ARROWMIND_SHARED(uint32_t, values, 65);
  values[thread()] = thread();
  out[thread()] = values[thread() + 1];
}

// The same as it should be.
ARROWMIND_KERNEL(64, with_a_barrier, uint32_t* out) {
  ARROWMIND_SHARED(uint32_t, values, 65);
  values[thread()] = thread();
  if (thread() == 0) values[64] = 64;
  barrier();
  out[thread()] = values[thread() + 1];
}

// Half of a warp does not come to what all of it must.
ARROWMIND_KERNEL(64, half_a_warp, uint32_t* out) {
  if (lane() < 16) return;
  out[thread()] = shuffle_xor(thread(), 1);
}

// Sums of a warp, by exchange and by a product of matrices of ones.
ARROWMIND_KERNEL(64, sums, int32_t* out) {
  out[thread()] = warp_sum(static_cast<int32_t>(thread()));
  const uint32_t ones[4] = {0x01010101u, 0x01010101u, 0x01010101u, 0x01010101u}, columns[2] = {lane(), 0};
  int32_t products[4] = {};
  multiply_i8(products, ones, columns);
  out[64 + thread()] = products[0];
}
