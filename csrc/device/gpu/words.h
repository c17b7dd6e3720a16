#pragma once

// CUDA and HIP: what a thread is, and what it says to others. HIP has CUDA's words but for a few.

#ifdef __HIP__
#include <hip/hip_runtime.h>
#endif

#define ARROWMIND_DEVICE __device__ __forceinline__
// Kernels are called arrowmind_<name>, and have no other name anywhere.
#define ARROWMIND_KERNEL(threads, name, ...) \
  extern "C" __global__ void __launch_bounds__(threads) arrowmind_##name(__VA_ARGS__)
#define ARROWMIND_SHARED(type, name, count) __shared__ type name[count]
#define ARROWMIND_RESTRICT __restrict__
#define ARROWMIND_UNROLL _Pragma("unroll")

namespace arrowmind::device::gpu {

ARROWMIND_DEVICE uint32_t thread() {
  return threadIdx.x;
}
ARROWMIND_DEVICE uint32_t threads() {
  return blockDim.x;
}
// Rows run along the direction of hardware that has room for more than 65535 groups; the back end swaps them.
ARROWMIND_DEVICE uint32_t group_x() {
  return blockIdx.y;
}
ARROWMIND_DEVICE uint32_t group_y() {
  return blockIdx.x;
}
ARROWMIND_DEVICE uint32_t group_z() {
  return blockIdx.z;
}
// Of kernels of one direction and groups of any size.
ARROWMIND_DEVICE uint32_t item() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

ARROWMIND_DEVICE void barrier() {
  __syncthreads();
}

#ifdef __HIP__
template <class T>
ARROWMIND_DEVICE T shuffle_xor(T x, int mask) {
  return __shfl_xor(x, mask, 32);
}
template <class T>
ARROWMIND_DEVICE T shuffle(T x, int from) {
  return __shfl(x, from, 32);
}
#else
template <class T>
ARROWMIND_DEVICE T shuffle_xor(T x, int mask) {
  return __shfl_xor_sync(0xffffffffu, x, mask);
}
template <class T>
ARROWMIND_DEVICE T shuffle(T x, int from) {
  return __shfl_sync(0xffffffffu, x, from);
}
#endif

// To memory of the group.
ARROWMIND_DEVICE void add_shared(int32_t* to, int32_t x) {
  atomicAdd(to, x);
}

// The bits of a word that `mask` has, where other threads may write others at the same time.
ARROWMIND_DEVICE void put_bits(uint32_t* word, uint32_t mask, uint32_t bits) {
  atomicAnd(word, ~mask);
  atomicOr(word, bits);
}

ARROWMIND_DEVICE float fused(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
ARROWMIND_DEVICE float square_root(float x) {
  return __fsqrt_rn(x);
}
ARROWMIND_DEVICE float round_even(float x) {
  return rintf(x);
}
ARROWMIND_DEVICE float float_of(uint32_t bits) {
  return __uint_as_float(bits);
}
ARROWMIND_DEVICE uint32_t bits_of(float x) {
  return __float_as_uint(x);
}

ARROWMIND_DEVICE float half_float(uint32_t bits) {
#ifdef __HIP__
  return static_cast<float>(__builtin_bit_cast(_Float16, static_cast<uint16_t>(bits)));
#else
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(static_cast<uint16_t>(bits)));
  return x;
#endif
}

struct alignas(16) Four {
  uint32_t word[4];
};
struct alignas(8) Two {
  uint32_t word[2];
};

// What is only read.
ARROWMIND_DEVICE Four read_four(const void* p) {
#ifdef __HIP__
  return *static_cast<const Four*>(p);
#else
  const uint4 x = __ldg(static_cast<const uint4*>(p));
  return {{x.x, x.y, x.z, x.w}};
#endif
}
ARROWMIND_DEVICE Two read_two(const void* p) {
#ifdef __HIP__
  return *static_cast<const Two*>(p);
#else
  const uint2 x = __ldg(static_cast<const uint2*>(p));
  return {{x.x, x.y}};
#endif
}

// c + the sum of four products of signed bytes.
ARROWMIND_DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t c) {
#ifdef __HIP__
  for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return c;
#else
  return __dp4a(static_cast<int32_t>(a), static_cast<int32_t>(b), c);
#endif
}

// Bytes of two words, low one first, by four numbers of them in the low bits of `chosen`, four bits each.
ARROWMIND_DEVICE uint32_t choose_bytes(uint32_t low, uint32_t high, uint32_t chosen) {
#ifdef __HIP__
  const uint64_t both = static_cast<uint64_t>(high) << 32 | low;
  uint32_t found = 0;
  for (int i = 0; i < 4; ++i) {
    found |= static_cast<uint32_t>(both >> 8 * (chosen >> 4 * i & 7) & 0xff) << 8 * i;
  }
  return found;
#else
  return __byte_perm(low, high, chosen);
#endif
}

}  // namespace arrowmind::device::gpu
