#include "kernels/qmatmul/qmatmul.h"

#include <algorithm>
#include <array>
#include <cstdlib>
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

constexpr std::array<std::string_view, 6> kActivationNames = {
    "float32", "int8", "int16", "int8 in blocks", "bfloat16 in pairs", "bfloat16 in tiles"};
constexpr std::array<std::string_view, 9> kWeightNames = {
    "float32",        "float16",        "bfloat16",       "int8",         "int8 in bounded pairs",
    "int8 in groups", "int4 in groups", "int2 in groups", "fp4 in groups"};

int64_t element_bytes(Weight weight) {
  return weight == Weight::kF32 ? 4 : weight == Weight::kF16 || weight == Weight::kBf16 ? 2 : 1;
}

int64_t k_group(Weight weight) {
  return weight == Weight::kI8 || weight == Weight::kI8Paired ? kQuad : 1;
}

bool is_grid(Weight weight) {
  return weight >= Weight::kI8Grid;
}

// Fours of k in a row of 64 bytes of codes.
int64_t planes_of(Weight weight) {
  return weight == Weight::kI8Grid ? 1 : weight == Weight::kI2Grid ? 4 : 2;
}

// Position of element (n, k) in the packed weights.
int64_t packed_index(int64_t n, int64_t k, int64_t groups, int64_t group) {
  const int64_t panel = n / kPanel * groups + k / group;
  return (panel * kPanel + n % kPanel) * group + k % group;
}

// Where the code of element (n, k) of a grid lies.
struct CodePlace {
  int64_t byte;
  int shift, mask;

  CodePlace(Weight weight, int64_t n, int64_t k, int64_t rows) {
    const int64_t planes = planes_of(weight), four = k / kQuad;
    const int bits = 8 / static_cast<int>(planes);
    byte = ((n / kPanel * rows + four / planes) * kPanel + n % kPanel) * kQuad + k % kQuad;
    shift = static_cast<int>(four % planes) * bits;
    mask = (1 << bits) - 1;
  }
};

int64_t grid_rows(Weight weight, int64_t k, int64_t group) {
  return round_up(k, block_of(group)) / kQuad / planes_of(weight);
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

int64_t packed_bytes(Weight weight, int64_t n, int64_t k, int64_t group) {
  if (is_grid(weight)) return round_up(n, kPanel) * grid_rows(weight, k, group) * kQuad;
  return round_up(n, kPanel) * round_up(k, k_group(weight)) * element_bytes(weight);
}

bool is_paired(int64_t n, int64_t k, const void* packed) {
  const auto* codes = static_cast<const int8_t*>(packed);
  int32_t most = 0;
  for (int64_t i = 0; i < packed_bytes(Weight::kI8, n, k); i += 2) {
    most = std::max(most, std::abs(int32_t{codes[i]}) + std::abs(int32_t{codes[i + 1]}));
  }
  return most <= 128;
}

void pack(Weight weight, int64_t n, int64_t k, const void* source, void* packed, int64_t group) {
  std::memset(packed, 0, static_cast<size_t>(packed_bytes(weight, n, k, group)));
  if (is_grid(weight)) {
    const auto* codes = static_cast<const uint8_t*>(source);
    auto* bytes = static_cast<uint8_t*>(packed);
    const int64_t rows = grid_rows(weight, k, group);
    for (int64_t i = 0; i < n * k; ++i) {
      const CodePlace place(weight, i / k, i % k, rows);
      bytes[place.byte] = static_cast<uint8_t>(bytes[place.byte] | (codes[i] & place.mask) << place.shift);
    }
    return;
  }
  const int64_t fours = k_group(weight);
  const int64_t groups = ceil_div(k, fours);
  const size_t size = static_cast<size_t>(element_bytes(weight));
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < k; ++column) {
      std::memcpy(
          static_cast<char*>(packed) + static_cast<size_t>(packed_index(row, column, groups, fours)) * size,
          static_cast<const char*>(source) + static_cast<size_t>(row * k + column) * size, size);
    }
  }
}

void unpack(Weight weight, int64_t n, int64_t k, const void* packed, void* destination, int64_t group) {
  if (is_grid(weight)) {
    const auto* bytes = static_cast<const uint8_t*>(packed);
    auto* codes = static_cast<uint8_t*>(destination);
    const int64_t rows = grid_rows(weight, k, group);
    for (int64_t i = 0; i < n * k; ++i) {
      const CodePlace place(weight, i / k, i % k, rows);
      codes[i] = static_cast<uint8_t>(bytes[place.byte] >> place.shift & place.mask);
    }
    return;
  }
  const int64_t fours = k_group(weight);
  const int64_t groups = ceil_div(k, fours);
  const size_t size = static_cast<size_t>(element_bytes(weight));
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < k; ++column) {
      std::memcpy(static_cast<char*>(destination) + static_cast<size_t>(row * k + column) * size,
                  static_cast<const char*>(packed) +
                      static_cast<size_t>(packed_index(row, column, groups, fours)) * size,
                  size);
    }
  }
}

}  // namespace arrowmind::qmatmul
