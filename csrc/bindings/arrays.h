#pragma once

// What the bindings of the kernels have in common: array types and their checks.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string_view>

#include "base/error.h"
#include "bindings/bindings.h"

namespace arrowmind::bindings {

template <typename T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using AnyMatrix = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <typename Array>
int64_t extent(const Array& array, size_t axis) {
  return static_cast<int64_t>(array.shape(axis));
}

inline void require(std::string_view op, bool condition, std::string_view what) {
  if (!condition) fail(ErrorKind::kInvalidArgument, "[", op, "] ", what);
}

// Offsets of sequences: start at 0, never fall, end at the number of tokens.
inline void require_offsets(std::string_view op, const Vector<const int32_t>& offsets, int64_t tokens) {
  require(op, offsets.size() >= 1 && offsets(0) == 0, "offsets must start with 0");
  for (size_t s = 1; s < offsets.size(); ++s) {
    if (offsets(s) < offsets(s - 1)) fail(ErrorKind::kInvalidArgument, "[", op, "] offsets fall at ", s);
  }
  require(op, offsets(offsets.size() - 1) == tokens, "the last offset must be the number of tokens");
}

}  // namespace arrowmind::bindings
