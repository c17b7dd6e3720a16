#include "kernels/qmatmul/qmatmul.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "kernels/qmatmul/layout.h"
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
  // Pairs as words, in arithmetic of 16 bits: compilers make vectors of it for any processor.
  const auto* bytes = static_cast<const char*>(packed);
  const int64_t size = packed_bytes(Weight::kI8, n, k);
  int16_t most = 0;
  for (int64_t i = 0; i < size; i += 2) {
    int16_t pair;
    std::memcpy(&pair, bytes + i, 2);
    const int16_t low = static_cast<int16_t>(static_cast<int16_t>(pair << 8) >> 8);
    const int16_t high = static_cast<int16_t>(pair >> 8);
    const int16_t left = std::max<int16_t>(low, static_cast<int16_t>(-low));
    const int16_t right = std::max<int16_t>(high, static_cast<int16_t>(-high));
    most = std::max<int16_t>(most, static_cast<int16_t>(left + right));
  }
  return most <= 128;
}

}  // namespace arrowmind::qmatmul
