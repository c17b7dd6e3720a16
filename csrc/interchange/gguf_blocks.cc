#include "interchange/gguf_blocks.h"

#include <cstring>

namespace arrowmind::interchange {
namespace {

constexpr int kSmall = 32;
constexpr int kLarge = 256;

constexpr GgmlType sized(uint32_t number) {
  return static_cast<GgmlType>(number);
}

// Types that are not decoded are here for the size of their blocks, so that a file that holds some can be
// read.
constexpr GgmlTypeInfo kTypes[] = {
    {GgmlType::kF32, "F32", 1, 4, true},
    {GgmlType::kF16, "F16", 1, 2, true},
    {GgmlType::kQ4_0, "Q4_0", kSmall, 18, true},
    {GgmlType::kQ4_1, "Q4_1", kSmall, 20, true},
    {GgmlType::kQ5_0, "Q5_0", kSmall, 22, true},
    {GgmlType::kQ5_1, "Q5_1", kSmall, 24, true},
    {GgmlType::kQ8_0, "Q8_0", kSmall, 34, true},
    {GgmlType::kQ2_K, "Q2_K", kLarge, 84, true},
    {GgmlType::kQ3_K, "Q3_K", kLarge, 110, true},
    {GgmlType::kQ4_K, "Q4_K", kLarge, 144, true},
    {GgmlType::kQ5_K, "Q5_K", kLarge, 176, true},
    {GgmlType::kQ6_K, "Q6_K", kLarge, 210, true},
    {sized(15), "Q8_K", kLarge, 292, false},
    {sized(16), "IQ2_XXS", kLarge, 66, false},
    {sized(17), "IQ2_XS", kLarge, 74, false},
    {sized(18), "IQ3_XXS", kLarge, 98, false},
    {sized(19), "IQ1_S", kLarge, 50, false},
    {sized(20), "IQ4_NL", kSmall, 18, false},
    {sized(21), "IQ3_S", kLarge, 110, false},
    {sized(22), "IQ2_S", kLarge, 82, false},
    {sized(23), "IQ4_XS", kLarge, 136, false},
    {sized(24), "I8", 1, 1, false},
    {sized(25), "I16", 1, 2, false},
    {sized(26), "I32", 1, 4, false},
    {sized(27), "I64", 1, 8, false},
    {sized(28), "F64", 1, 8, false},
    {sized(29), "IQ1_M", kLarge, 56, false},
    {GgmlType::kBF16, "BF16", 1, 2, true},
    {sized(34), "TQ1_0", kLarge, 54, false},
    {sized(35), "TQ2_0", kLarge, 66, false},
    {GgmlType::kMXFP4, "MXFP4", kSmall, 17, true},
    {sized(40), "NVFP4", 64, 36, false},
    {sized(41), "Q1_0", 128, 18, false},
};

// Of a grid: scale | codes, 8 bits each or as nibbles

struct GridLayout {
  int64_t scale_bytes;
  bool nibbles;
  int64_t block_bytes() const { return scale_bytes + (nibbles ? 16 : kSmall); }
};

GridLayout grid_layout(GgmlType type) {
  switch (type) {
    case GgmlType::kQ8_0:
      return {2, false};
    case GgmlType::kQ4_0:
      return {2, true};
    case GgmlType::kMXFP4:
      return {1, true};
    default:
      return {0, false};
  }
}

}  // namespace

const GgmlTypeInfo* find_ggml_type(uint32_t number) {
  for (const GgmlTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == number) return &info;
  }
  return nullptr;
}

const GgmlTypeInfo* find_ggml_type(std::string_view name) {
  for (const GgmlTypeInfo& info : kTypes) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

int64_t grid_scale_bytes(GgmlType type) {
  return grid_layout(type).scale_bytes;
}

bool split_blocks(GgmlType type, const uint8_t* source, int64_t blocks, uint8_t* codes, uint8_t* scales) {
  const GridLayout grid = grid_layout(type);
  if (grid.scale_bytes == 0) return false;
  for (int64_t b = 0; b < blocks; ++b, codes += kSmall) {
    const uint8_t* block = source + b * grid.block_bytes();
    std::memcpy(scales + b * grid.scale_bytes, block, static_cast<size_t>(grid.scale_bytes));
    block += grid.scale_bytes;
    for (int i = 0; i < kSmall; ++i) {
      codes[i] = !grid.nibbles ? block[i] : i < 16 ? block[i] & 15 : block[i - 16] >> 4;
    }
  }
  return true;
}

bool join_blocks(GgmlType type, const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                 uint8_t* target) {
  const GridLayout grid = grid_layout(type);
  if (grid.scale_bytes == 0) return false;
  for (int64_t b = 0; b < blocks; ++b, codes += kSmall) {
    uint8_t* block = target + b * grid.block_bytes();
    std::memcpy(block, scales + b * grid.scale_bytes, static_cast<size_t>(grid.scale_bytes));
    block += grid.scale_bytes;
    for (int i = 0; i < (grid.nibbles ? 16 : kSmall); ++i) {
      block[i] = grid.nibbles ? static_cast<uint8_t>((codes[i] & 15) | codes[i + 16] << 4) : codes[i];
    }
  }
  return true;
}

}  // namespace arrowmind::interchange
