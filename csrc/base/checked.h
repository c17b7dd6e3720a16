#pragma once

#include <cstdint>

namespace arrowmind {

// Overflow-safe arithmetic for sizes and offsets that come from a file. Each returns false on overflow.
template <typename T>
[[nodiscard]] constexpr bool checked_add(T a, T b, T* sum) {
  return !__builtin_add_overflow(a, b, sum);
}

template <typename T>
[[nodiscard]] constexpr bool checked_mul(T a, T b, T* product) {
  return !__builtin_mul_overflow(a, b, product);
}

// True when [offset, offset + length) lies inside [0, size).
[[nodiscard]] constexpr bool range_fits(int64_t offset, int64_t length, int64_t size) {
  return offset >= 0 && length >= 0 && offset <= size && length <= size - offset;
}

constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

constexpr int64_t round_up(int64_t a, int64_t multiple) {
  return ceil_div(a, multiple) * multiple;
}

}  // namespace arrowmind
