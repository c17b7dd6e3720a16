#pragma once

// The words that kernels for GPUs are written in: the same source is compiled for CUDA, for HIP, and as C++
// for tests, where threads are fibers (tests/device/backends/on_host). All sources are compiled without fused
// multiply-adds but where fused() is written, and with exact division: the three give the same bits.
//
// Groups have one direction. A warp is 32 threads everywhere: where the hardware has 64, half of one.

#include <cstdint>

#include "device/kernels.h"

#if defined(ARROWMIND_ON_HOST)
#include "on_host/words.h"
#else
#include "device/gpu/words.h"
#endif

// What warps do together: products of small matrices.
#include "device/gpu/matrices.h"

namespace arrowmind::device::gpu {

ARROWMIND_DEVICE uint32_t lane() {
  return thread() & 31;
}
ARROWMIND_DEVICE uint32_t warp() {
  return thread() >> 5;
}

ARROWMIND_DEVICE uint32_t ceil_of(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}
ARROWMIND_DEVICE uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

// A NaN in `a` is dropped, one in `b` stays, as on the CPU.
ARROWMIND_DEVICE float least(float a, float b) {
  return a < b ? a : b;
}
ARROWMIND_DEVICE float most(float a, float b) {
  return a > b ? a : b;
}

ARROWMIND_DEVICE float bfloat(uint32_t bits) {
  return float_of(bits << 16);
}

// The nearest bfloat16, ties to even, in the upper half; the lower may hold anything. A NaN stays one.
ARROWMIND_DEVICE uint32_t rounded_bf16(float x) {
  const uint32_t bits = bits_of(x);
  return x != x ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1);
}

// Two of them, the first in the lower half.
ARROWMIND_DEVICE uint32_t bf16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return rounded_bf16(low) >> 16 | (rounded_bf16(high) & 0xffff0000u);
#endif
}

// A byte of a word as a float that is 2^23 too large.
ARROWMIND_DEVICE float raised_byte(uint32_t word, int place) {
#if defined(__CUDA_ARCH__)
  return float_of(
      choose_bytes(word, 0x4b000000u, 0x7440u | static_cast<uint32_t>(place)));  // one instruction
#else
  return float_of(0x4b000000u | (word >> 8 * place & 0xffu));
#endif
}
ARROWMIND_DEVICE float float_of_byte(uint32_t word, int place) {
  return raised_byte(word, place) - 8388608.0f;
}

ARROWMIND_DEVICE float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += shuffle_xor(x, step);
  return x;
}
ARROWMIND_DEVICE int32_t warp_sum(int32_t x) {
  for (int step = 16; step > 0; step /= 2) x += shuffle_xor(x, step);
  return x;
}
// A NaN wins over numbers only as the first operand of most(); ask for it apart.
ARROWMIND_DEVICE float warp_most(float x) {
  for (int step = 16; step > 0; step /= 2) x = most(x, shuffle_xor(x, step));
  return x;
}

// The same over a group of kWarps warps; every thread gets it. `scratch` has a place for each warp, and may
// be used again after another barrier.
template <int kWarps, class T, class Fold>
ARROWMIND_DEVICE T fold_group(T x, T* scratch, Fold fold) {
  for (int step = 16; step > 0; step /= 2) x = fold(x, shuffle_xor(x, step));
  barrier();
  if (lane() == 0) scratch[warp()] = x;
  barrier();
  x = scratch[0];
  for (int i = 1; i < kWarps; ++i) x = fold(x, scratch[i]);
  return x;
}

struct Sum {
  template <class T>
  ARROWMIND_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Most {
  ARROWMIND_DEVICE float operator()(float a, float b) const { return most(a, b); }
};

// The sum of term(k) over k below `width` in the order of kernels/simd/sum.h: in 64 lanes, folded in a tree.
// For groups of 64 threads or more, all of which get it; `lanes` is memory of the group, [64].
template <class Term>
ARROWMIND_DEVICE float sum_in_lanes(uint32_t width, float* lanes, Term term) {
  float sum = 0.0f;
  if (thread() < 64) {
    for (uint32_t k = thread(); k < width; k += 64) sum += term(k);
  }
  barrier();
  if (thread() < 64) lanes[thread()] = sum;
  barrier();
  const uint32_t i = thread() & 15;
  sum = (lanes[i] + lanes[32 + i]) + (lanes[16 + i] + lanes[48 + i]);
  for (int step = 8; step > 0; step /= 2) sum += shuffle_xor(sum, step);
  return sum;
}

}  // namespace arrowmind::device::gpu
