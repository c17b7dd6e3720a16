#pragma once

// The functions of Metal's library that kernels use, as C++ for threads that are fibers. Names are those of
// the Metal Shading Language.

#include <bit>

#include "on_host/fibers.h"
#include "on_host/metal/vectors.h"

namespace metal {

template <class To, class From>
To as_type(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

inline float fma(float a, float b, float c) {
  return std::fma(a, b, c);
}
template <int N>
vec<float, N> fma(vec<float, N> a, const vec<float, N>& b, const vec<float, N>& c) {
  for (int i = 0; i < N; ++i) a[i] = std::fma(a[i], b[i], c[i]);
  return a;
}

#define ONE_FLOAT(name)        \
  inline float name(float x) { \
    return std::name(x);       \
  }
ONE_FLOAT(sqrt)
ONE_FLOAT(rint)
ONE_FLOAT(floor)
ONE_FLOAT(abs)
ONE_FLOAT(sin)
ONE_FLOAT(cos)
#undef ONE_FLOAT

template <class T>
  requires(sizeof(T) == 4)
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
  requires(sizeof(T) == 4)
T max(T a, T b) {
  return a < b ? b : a;
}
template <class T>
  requires(sizeof(T) == 4)
T clamp(T x, T low, T high) {
  return min(max(x, low), high);
}
namespace fast {
using metal::clamp;
using metal::max;
using metal::min;
}  // namespace fast
namespace precise {
using metal::sqrt;
}

template <class T>
T select(T otherwise, T chosen, bool condition) {
  return condition ? chosen : otherwise;
}
template <class T, int N>
vec<T, N> select(vec<T, N> otherwise, const vec<T, N>& chosen, const vec<bool, N>& condition) {
  for (int i = 0; i < N; ++i) otherwise[i] = condition[i] ? chosen[i] : otherwise[i];
  return otherwise;
}
inline uint clz(uint x) {
  return static_cast<uint>(std::countl_zero(x));
}
inline int mulhi(int a, int b) {
  return static_cast<int>(int64_t{a} * b >> 32);
}
inline uint mulhi(uint a, uint b) {
  return static_cast<uint>(uint64_t{a} * b >> 32);
}
inline float dot(const float4& a, const float4& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
inline mem_flags operator|(mem_flags a, mem_flags) {
  return a;
}
inline void threadgroup_barrier(mem_flags) {
  arrowmind::fibers::wait_group();
}

// A fiber runs until it waits, so each of these is one step.
struct atomic_uint {
  uint value;
};
enum memory_order { memory_order_relaxed };
inline uint atomic_fetch_and_explicit(atomic_uint* to, uint x, memory_order) {
  const uint before = to->value;
  to->value &= x;
  return before;
}
inline uint atomic_fetch_or_explicit(atomic_uint* to, uint x, memory_order) {
  const uint before = to->value;
  to->value |= x;
  return before;
}

}  // namespace metal
