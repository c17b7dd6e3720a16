#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace arrowmind::weights {

enum class Type : uint8_t { kF32, kF16, kBf16, kI8, kI4, kI2, kFp4, kT2, kT3 };
enum class Scale : uint8_t { kNone, kF32, kF16, kU8, kE8M0, kE4M3 };

// What one tensor is.
struct Description {
  Type type = Type::kF32;
  Scale scale = Scale::kNone;  // kNone: on no grid
  bool has_zeros = false;      // of a grid
  bool is_packed = false;      // in the layout of kernels, not row by row
  bool is_vector = false;      // of one dimension: codes of it have one scale
  int32_t group = -1;          // k per scale, 0: all; -1: on no grid
  int64_t n = 1, k = 1;        // of a matrix
  int64_t rows = 1;            // with a scale of their own
  int64_t codes_bytes = 0;     // that shape and layout need

  bool is_coded() const { return type == Type::kI8 || scale != Scale::kNone; }
};

// Those of a name in a file; nothing for one that is none.
std::optional<Type> type_called(std::string_view name);
std::optional<Scale> scale_called(std::string_view name);

int64_t bits_of(Type type);
// How kernels want codes of a type; ``row`` is the other layout.
std::string_view layout_of(Type type);

}  // namespace arrowmind::weights
