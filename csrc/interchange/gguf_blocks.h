#pragma once

#include <cstdint>
#include <string_view>

namespace arrowmind::interchange {

// Element types of GGUF by their number in a file.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
  kMXFP4 = 39,
};

// Elements are stored in blocks of consecutive elements of a row.
struct GgmlTypeInfo {
  GgmlType type;  // of a number that the enum may lack: known by size alone
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
  bool can_decode;
};

// Null for a number that is not known: where its tensor ends cannot be told.
const GgmlTypeInfo* find_ggml_type(uint32_t number);
const GgmlTypeInfo* find_ggml_type(std::string_view name);

// `blocks` blocks at `source`, of any alignment -> block_elements * blocks floats, each product and sum
// rounded once. Scales may be NaN or infinite in a hostile file, and so may the floats. Returns false for a
// type without can_decode.
bool decode_blocks(GgmlType type, const uint8_t* source, int64_t blocks, float* values);

// Floats, all finite -> blocks of F32, F16, BF16, Q8_0 or Q4_0; false for other types, and when a scale or
// value is beyond what float16 holds. Rounds to nearest, ties to even.
bool encode_blocks(GgmlType type, const float* values, int64_t blocks, uint8_t* target);

// The numbers of a block as they are stored, for types that are a plain grid: one code per element and one
// scale per block.
//
//   Q8_0   codes s8                scale float16     value = code * scale
//   Q4_0   codes 0..15             scale float16     value = (code - 8) * scale, of any sign
//   MXFP4  codes E2M1, sign bit 3  scale E8M0        value = e2m1(code) * 2^(scale - 127)
int64_t grid_scale_bytes(GgmlType type);  // 0: the type is no grid
// codes: one byte per element; scales: grid_scale_bytes per block. False for a type that is no grid.
bool split_blocks(GgmlType type, const uint8_t* source, int64_t blocks, uint8_t* codes, uint8_t* scales);
// The inverse: the same bytes again. Bits of a code beyond its width are dropped.
bool join_blocks(GgmlType type, const uint8_t* codes, const uint8_t* scales, int64_t blocks, uint8_t* target);

}  // namespace arrowmind::interchange
