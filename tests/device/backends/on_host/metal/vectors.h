#pragma once

// Vectors of Metal's language as C++: as much as kernels use. Operations go element by element.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace metal {

using uint = uint32_t;

template <class T, int N>
struct Elements;
template <class T>
struct Elements<T, 2> {
  T x, y;
};
template <class T>
struct Elements<T, 3> {
  T x, y, z;
};
template <class T>
struct alignas(4 * sizeof(T)) Elements<T, 4> {
  T x, y, z, w;
};

template <class T, int N>
struct vec : Elements<T, N> {
  vec() = default;
  explicit vec(T all) {
    for (int i = 0; i < N; ++i) (*this)[i] = all;
  }
  template <class... Rest>
    requires(sizeof...(Rest) == N - 1 && N > 1)
  vec(T first, Rest... rest) : Elements<T, N>{first, static_cast<T>(rest)...} {}
  vec(const vec<T, 2>& low, const vec<T, 2>& high)
    requires(N == 4)
      : Elements<T, N>{low.x, low.y, high.x, high.y} {}
  template <class U>
  explicit vec(const vec<U, N>& other) {
    for (int i = 0; i < N; ++i) (*this)[i] = static_cast<T>(other[i]);
  }
  T& operator[](size_t i) { return reinterpret_cast<T*>(this)[i]; }
  const T& operator[](size_t i) const { return reinterpret_cast<const T*>(this)[i]; }
};

#define ELEMENTWISE(op)                                              \
  template <class T, int N>                                          \
  vec<T, N> operator op(vec<T, N> a, const vec<T, N>& b) {           \
    for (int i = 0; i < N; ++i) a[i] = static_cast<T>(a[i] op b[i]); \
    return a;                                                        \
  }                                                                  \
  template <class T, int N>                                          \
  vec<T, N> operator op(vec<T, N> a, T b) {                          \
    return a op vec<T, N>(b);                                        \
  }                                                                  \
  template <class T, int N>                                          \
  vec<T, N> operator op(T a, const vec<T, N>& b) {                   \
    return vec<T, N>(a) op b;                                        \
  }                                                                  \
  template <class T, int N, class B>                                 \
  vec<T, N>& operator op## = (vec<T, N> & a, const B& b) {           \
    return a = a op b;                                               \
  }
ELEMENTWISE(+)
ELEMENTWISE(-)
ELEMENTWISE(*)
ELEMENTWISE(/)
ELEMENTWISE(&)
ELEMENTWISE(|)
ELEMENTWISE(^)
#undef ELEMENTWISE

// Shifts: by numbers of either sign.
template <class T, class U, int N>
vec<T, N> operator<<(vec<T, N> a, const vec<U, N>& b) {
  for (int i = 0; i < N; ++i) a[i] = static_cast<T>(a[i] << b[i]);
  return a;
}
template <class T, class U, int N>
vec<T, N> operator>>(vec<T, N> a, const vec<U, N>& b) {
  for (int i = 0; i < N; ++i) a[i] = static_cast<T>(a[i] >> b[i]);
  return a;
}
template <class T, int N>
vec<T, N> operator-(vec<T, N> a) {
  for (int i = 0; i < N; ++i) a[i] = -a[i];
  return a;
}

#define COMPARED(op)                                                 \
  template <class T, int N>                                          \
  vec<bool, N> operator op(const vec<T, N>& a, const vec<T, N>& b) { \
    vec<bool, N> found;                                              \
    for (int i = 0; i < N; ++i) found[i] = a[i] op b[i];             \
    return found;                                                    \
  }
COMPARED(<)
COMPARED(>)
COMPARED(<=)
COMPARED(>=)
COMPARED(==)
#undef COMPARED

// A binary16 number; only ever made into float, or out of it.
struct half {
  uint16_t bits;
  half() = default;
  explicit half(float x) : bits(arrowmind::float_to_half(x)) {}
  operator float() const { return arrowmind::half_to_float(bits); }
};

using half2 = vec<half, 2>;
using float2 = vec<float, 2>;
using float3 = vec<float, 3>;
using float4 = vec<float, 4>;
using int2 = vec<int, 2>;
using int4 = vec<int, 4>;
using uint2 = vec<uint, 2>;
using uint3 = vec<uint, 3>;
using uint4 = vec<uint, 4>;
using bool4 = vec<bool, 4>;

// Named by code that no kernel comes to.
template <class T, int Columns, int Rows>
struct matrix {
  vec<T, Rows> columns[Columns];
  vec<T, Rows>& operator[](size_t i) { return columns[i]; }
};

}  // namespace metal
