#pragma once

// The words of kernels for CUDA and HIP (device/gpu/words.h) for threads that are fibers.

#include <cmath>
#include <type_traits>

#include "base/half.h"
#include "on_host/fibers.h"
#include "on_host/registered.h"

#define ARROWMIND_DEVICE inline
#define ARROWMIND_KERNEL(threads, name, ...)                                                     \
  static void arrowmind_##name(__VA_ARGS__);                                                     \
  static const ::arrowmind::on_host::Registered registered_##name("arrowmind_" #name, (threads), \
                                                                  arrowmind_##name);             \
  static void arrowmind_##name(__VA_ARGS__)
#define ARROWMIND_SHARED(type, name, count)                        \
  static const char name##_key = 0;                                \
  auto& name = *static_cast<std::type_identity_t<type>(*)[count]>( \
      ::arrowmind::fibers::shared(&name##_key, sizeof(type) * (count), alignof(type)))
#define ARROWMIND_RESTRICT
#define ARROWMIND_UNROLL

namespace arrowmind::device::gpu {

inline uint32_t thread() {
  return fibers::place().fiber;
}
inline uint32_t threads() {
  return fibers::place().fibers;
}
inline uint32_t group_x() {
  return fibers::place().group[1];
}
inline uint32_t group_y() {
  return fibers::place().group[0];
}
inline uint32_t group_z() {
  return fibers::place().group[2];
}
inline uint32_t item() {
  return fibers::place().group[0] * fibers::place().fibers + fibers::place().fiber;
}

inline void barrier() {
  fibers::wait_group();
}
template <class T>
inline T shuffle_xor(T x, int mask) {
  return fibers::exchange(x, 32, (thread() & 31) ^ static_cast<uint32_t>(mask));
}
template <class T>
inline T shuffle(T x, int from) {
  return fibers::exchange(x, 32, static_cast<uint32_t>(from));
}
inline void add_shared(int32_t* to, int32_t x) {
  *to += x;
}

inline void put_bits(uint32_t* word, uint32_t mask, uint32_t bits) {
  *word = (*word & ~mask) | bits;
}

inline float fused(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float square_root(float x) {
  return std::sqrt(x);
}
inline float round_even(float x) {
  return std::nearbyint(x);
}
inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline uint32_t bits_of(float x) {
  return std::bit_cast<uint32_t>(x);
}
inline float half_float(uint32_t bits) {
  return half_to_float(static_cast<uint16_t>(bits));
}

struct alignas(16) Four {
  uint32_t word[4];
};
struct alignas(8) Two {
  uint32_t word[2];
};
inline Four read_four(const void* p) {
  return *static_cast<const Four*>(__builtin_assume_aligned(p, 16));
}
inline Two read_two(const void* p) {
  return *static_cast<const Two*>(p);
}

inline int32_t dot4(uint32_t a, uint32_t b, int32_t c) {
  for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return c;
}

inline uint32_t choose_bytes(uint32_t low, uint32_t high, uint32_t chosen) {
  const uint64_t both = static_cast<uint64_t>(high) << 32 | low;
  uint32_t found = 0;
  for (int i = 0; i < 4; ++i)
    found |= static_cast<uint32_t>(both >> 8 * (chosen >> 4 * i & 7) & 0xff) << 8 * i;
  return found;
}

// What a lane holds of a product of small matrices (device/gpu/matrices.h).
struct Held {
  uint32_t a[4], b[2];
};

// `products(a, b, sum)` adds the products of two words.
template <class T, class Products>
inline void multiply(T (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Products products) {
  const Held own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  std::memcpy(fibers::own_outbox(), &own, sizeof own);
  fibers::wait_team(32);
  const uint32_t base = thread() & ~31u, row = base + (thread() & 31u & ~3u),
                 column = base + 8 * (thread() & 3);
  const auto held = [](uint32_t fiber) { return static_cast<const Held*>(fibers::outbox_of(fiber)); };
  for (uint32_t part = 0; part < 4; ++part) {
    const Held *rows = held(row + part), *left = held(column + part), *right = held(column + 4 + part);
    for (int half = 0; half < 2; ++half) {
      for (int lower = 0; lower < 2; ++lower) {
        const uint32_t word = rows->a[2 * half + lower];
        d[2 * lower] = products(word, left->b[half], d[2 * lower]);
        d[2 * lower + 1] = products(word, right->b[half], d[2 * lower + 1]);
      }
    }
  }
  fibers::turn_outbox();
}

inline void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply(d, a, b, [](uint32_t x, uint32_t y, float sum) {
    sum = float_of(x << 16) * float_of(y << 16) + sum;
    return float_of(x & 0xffff0000u) * float_of(y & 0xffff0000u) + sum;
  });
}
inline void multiply_i8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply(d, a, b, dot4);
}

}  // namespace arrowmind::device::gpu
