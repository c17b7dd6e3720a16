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
constexpr std::array<std::string_view, 12> kWeightNames = {"float32",
                                                           "float16",
                                                           "bfloat16",
                                                           "int8",
                                                           "int8 in bounded pairs",
                                                           "int8 in bounded fours",
                                                           "int8 in groups",
                                                           "int4 in groups",
                                                           "int2 in groups",
                                                           "fp4 in groups",
                                                           "trellis codes of 2 bits",
                                                           "trellis codes of 3 bits"};

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

Bound bound_of(int64_t n, int64_t k, const void* packed) {
  // In arithmetic of 16 bits over the 32 pairs of a row, of which compilers make vectors for any processor.
  constexpr int64_t kPairs = kPanel * kQuad / 2;
  constexpr int16_t kMost = 128;
  constexpr int64_t kLook = 64;  // rows between two looks whether there is anything left to find
  const auto* bytes = static_cast<const char*>(packed);
  const int64_t quads = ceil_div(k, kQuad);
  int16_t above[2][kPairs], below[2][kPairs];  // sums of positive and of negative codes, of two rows
  int16_t of_pairs = 0, of_fours = 0;
  for (int64_t row = 0; row < ceil_div(n, kPanel) * quads; ++row) {
    int16_t* positive = above[row % 2];
    int16_t* negative = below[row % 2];
    int16_t pairs[kPairs];
    std::memcpy(pairs, bytes + row * static_cast<int64_t>(sizeof(pairs)), sizeof(pairs));
    for (int64_t i = 0; i < kPairs; ++i) {
      const int16_t low = static_cast<int16_t>(static_cast<int16_t>(pairs[i] << 8) >> 8);
      const int16_t high = static_cast<int16_t>(pairs[i] >> 8);
      positive[i] = static_cast<int16_t>(std::max<int16_t>(low, 0) + std::max<int16_t>(high, 0));
      negative[i] = static_cast<int16_t>(-std::min<int16_t>(low, 0) - std::min<int16_t>(high, 0));
      of_pairs = std::max(of_pairs, std::max(positive[i], negative[i]));
    }
    if (row % 2 == 0) continue;
    if (row % kLook == kLook - 1 && of_pairs > kMost) return Bound::kNone;
    for (int64_t i = 0; i < kPairs; ++i) {
      of_fours = std::max(of_fours, static_cast<int16_t>(above[0][i] + above[1][i]));
      of_fours = std::max(of_fours, static_cast<int16_t>(below[0][i] + below[1][i]));
    }
  }
  if (of_pairs > kMost) return Bound::kNone;
  return quads % 2 == 0 && of_fours > kMost ? Bound::kPairs : Bound::kFours;
}

}  // namespace arrowmind::qmatmul
