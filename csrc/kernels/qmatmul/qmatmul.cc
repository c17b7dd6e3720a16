#include "kernels/qmatmul/qmatmul.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "kernels/qmatmul/scratch.h"

namespace arrowmind::qmatmul {

#define KERNEL(isa, name, activation, weight, min_m, cost) void name(const Params&);
#include "kernels/qmatmul/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, activation, weight, min_m, cost)  \
  {{"qmatmul", #name, Isa::isa, #activation " x " #weight}, \
   Activation::activation,                                  \
   Weight::weight,                                          \
   min_m,                                                   \
   cost,                                                    \
   name},
#include "kernels/qmatmul/kernels.inc"
#undef KERNEL
};

constexpr std::array<std::string_view, 3> kActivationNames = {"float32", "int8", "int16"};
constexpr std::array<std::string_view, 3> kWeightNames = {"float32", "float16", "int8"};

int64_t element_bytes(Weight weight) {
  return weight == Weight::kF32 ? 4 : weight == Weight::kF16 ? 2 : 1;
}

int64_t k_group(Weight weight) {
  return weight == Weight::kI8 ? kQuad : 1;
}

// Position of element (n, k) in the packed weights.
int64_t packed_index(int64_t n, int64_t k, int64_t groups, int64_t group) {
  const int64_t panel = n / kPanel * groups + k / group;
  return (panel * kPanel + n % kPanel) * group + k % group;
}

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select(Activation activation, Weight weight, int64_t m) {
  const auto fits = [&](const Row& row) {
    return row.activation == activation && row.weight == weight && m >= row.min_m;
  };
  return select_kernel(rows(), "qmatmul", fits,
                       cat("activations ", kActivationNames.at(static_cast<size_t>(activation)), ", weights ",
                           kWeightNames.at(static_cast<size_t>(weight)), ", m=", m));
}

void* thread_scratch(int64_t bytes) {
  thread_local AlignedBuffer buffer;
  buffer.resize(bytes);
  return buffer.as<void>();
}

int32_t activation_limit(int64_t k) {
  constexpr int64_t kInt32Max = 2147483647;
  return static_cast<int32_t>(std::min<int64_t>(32767, kInt32Max / (127 * std::max<int64_t>(k, 1))));
}

int64_t packed_bytes(Weight weight, int64_t n, int64_t k) {
  return round_up(n, kPanel) * round_up(k, k_group(weight)) * element_bytes(weight);
}

void pack(Weight weight, int64_t n, int64_t k, const void* source, void* packed) {
  const int64_t group = k_group(weight);
  const int64_t groups = ceil_div(k, group);
  const size_t size = static_cast<size_t>(element_bytes(weight));
  std::memset(packed, 0, static_cast<size_t>(packed_bytes(weight, n, k)));
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < k; ++column) {
      std::memcpy(
          static_cast<char*>(packed) + static_cast<size_t>(packed_index(row, column, groups, group)) * size,
          static_cast<const char*>(source) + static_cast<size_t>(row * k + column) * size, size);
    }
  }
}

void unpack(Weight weight, int64_t n, int64_t k, const void* packed, void* destination) {
  const int64_t group = k_group(weight);
  const int64_t groups = ceil_div(k, group);
  const size_t size = static_cast<size_t>(element_bytes(weight));
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < k; ++column) {
      std::memcpy(static_cast<char*>(destination) + static_cast<size_t>(row * k + column) * size,
                  static_cast<const char*>(packed) +
                      static_cast<size_t>(packed_index(row, column, groups, group)) * size,
                  size);
    }
  }
}

}  // namespace arrowmind::qmatmul
