#include "weights/description.h"

#include <array>

namespace arrowmind::weights {
namespace {

template <typename T>
struct Named {
  std::string_view name;
  T value;
};

constexpr std::array<Named<Type>, 9> kTypes = {{{"fp32", Type::kF32},
                                                {"fp16", Type::kF16},
                                                {"bf16", Type::kBf16},
                                                {"int8", Type::kI8},
                                                {"int4", Type::kI4},
                                                {"int2", Type::kI2},
                                                {"fp4", Type::kFp4},
                                                {"trellis2", Type::kT2},
                                                {"trellis3", Type::kT3}}};
constexpr std::array<Named<Scale>, 5> kScales = {{{"fp32", Scale::kF32},
                                                  {"fp16", Scale::kF16},
                                                  {"u8", Scale::kU8},
                                                  {"e8m0", Scale::kE8M0},
                                                  {"e4m3", Scale::kE4M3}}};

template <typename T, size_t kCount>
std::optional<T> find(const std::array<Named<T>, kCount>& known, std::string_view name) {
  for (const Named<T>& one : known) {
    if (one.name == name) return one.value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Type> type_called(std::string_view name) {
  return find(kTypes, name);
}

std::optional<Scale> scale_called(std::string_view name) {
  return find(kScales, name);
}

int64_t bits_of(Type type) {
  switch (type) {
    case Type::kF32:
      return 32;
    case Type::kF16:
    case Type::kBf16:
      return 16;
    case Type::kI8:
      return 8;
    case Type::kI4:
    case Type::kFp4:
      return 4;
    case Type::kT3:
      return 3;
    default:
      return 2;
  }
}

std::string_view layout_of(Type type) {
  switch (type) {
    case Type::kI8:
      return "n16k4";
    case Type::kI4:
    case Type::kFp4:
      return "n16k8";
    case Type::kI2:
    case Type::kT2:
      return "n16k16";
    case Type::kT3:
      return "n16k32";
    default:
      return "n16";
  }
}

}  // namespace arrowmind::weights
