#include <bit>
#include <cstring>

#include "base/half.h"
#include "interchange/gguf_blocks.h"

// Nibbles hold element i in the low half of byte i and element i + 16 (K types: + 32) in the high half.
// docs/formats/gguf.md draws each block.
namespace arrowmind::interchange {
namespace {

constexpr int kSmall = 32;
constexpr int kLarge = 256;

template <typename T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

float half_at(const uint8_t* bytes) {
  return half_to_float(load<uint16_t>(bytes));
}

float bf16_at(const uint8_t* bytes) {
  return std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(bytes)) << 16);
}

// --- blocks of 32

// scale | codes
void decode_q8_0(const uint8_t* block, float* values) {
  const float scale = half_at(block);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
}

// scale | nibbles
void decode_q4_0(const uint8_t* block, float* values) {
  const float scale = half_at(block);
  for (int i = 0; i < 16; ++i) {
    values[i] = static_cast<float>((block[2 + i] & 15) - 8) * scale;
    values[i + 16] = static_cast<float>((block[2 + i] >> 4) - 8) * scale;
  }
}

// scale, minimum | nibbles
void decode_q4_1(const uint8_t* block, float* values) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    values[i] = static_cast<float>(block[4 + i] & 15) * scale + minimum;
    values[i + 16] = static_cast<float>(block[4 + i] >> 4) * scale + minimum;
  }
}

// Fifth bits in one word, nibbles behind it.
int q5_code(uint32_t high, const uint8_t* nibbles, int i) {
  const int low = i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
  return low | static_cast<int>(high >> i & 1) << 4;
}

// scale | fifth bits | nibbles
void decode_q5_0(const uint8_t* block, float* values) {
  const float scale = half_at(block);
  const uint32_t high = load<uint32_t>(block + 2);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(q5_code(high, block + 6, i) - 16) * scale;
}

// scale, minimum | fifth bits | nibbles
void decode_q5_1(const uint8_t* block, float* values) {
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  const uint32_t high = load<uint32_t>(block + 4);
  for (int i = 0; i < kSmall; ++i) {
    values[i] = static_cast<float>(q5_code(high, block + 8, i)) * scale + minimum;
  }
}

// 2^(byte - 127); 255 is NaN.
float e8m0(uint8_t byte) {
  if (byte == 0) return 0x1p-127f;
  return std::bit_cast<float>(byte == 255 ? 0x7fc00000u : static_cast<uint32_t>(byte) << 23);
}

// scale E8M0 | nibbles E2M1
void decode_mxfp4(const uint8_t* block, float* values) {
  static constexpr float kLevels[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
  const float scale = e8m0(block[0]);
  for (int i = 0; i < 16; ++i) {
    values[i] = kLevels[block[1 + i] & 15] * scale;
    values[i + 16] = kLevels[block[1 + i] >> 4] * scale;
  }
}

// --- blocks of 256. Products of a float16 scale, a 6-bit scale and a 6-bit code are exact in binary32.

// 16 bytes of a 4-bit scale and a 4-bit minimum | pairs of bits | scale, scale of the minima
void decode_q2_k(const uint8_t* block, float* values) {
  const float scale = half_at(block + 80);
  const float minimum = half_at(block + 82);
  for (int group = 0; group < 16; ++group, values += 16) {
    const uint8_t* codes = block + 16 + group / 8 * 32 + group % 2 * 16;
    const int shift = group / 2 % 4 * 2;
    const float step = scale * static_cast<float>(block[group] & 15);
    const float low = minimum * static_cast<float>(block[group] >> 4);
    for (int i = 0; i < 16; ++i) values[i] = step * static_cast<float>(codes[i] >> shift & 3) - low;
  }
}

// 16 6-bit scales: low nibbles in bytes 0..7, pairs of high bits in bytes 8..11.
int q3_scale(const uint8_t* packed, int j) {
  const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
  const int high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

// third bits | pairs of bits | scales | scale
void decode_q3_k(const uint8_t* block, float* values) {
  const float scale = half_at(block + 108);
  for (int group = 0; group < 16; ++group, values += 16) {
    const uint8_t* high = block + group % 2 * 16;
    const uint8_t* low = block + 32 + group / 8 * 32 + group % 2 * 16;
    const int shift = group / 2 % 4 * 2;
    const float step = scale * static_cast<float>(q3_scale(block + 96, group));
    for (int i = 0; i < 16; ++i) {
      const int code = (low[i] >> shift & 3) | (high[i] >> (group / 2) & 1) << 2;
      values[i] = step * static_cast<float>(code - 4);
    }
  }
}

// 8 6-bit scales and 8 6-bit minima in 12 bytes: the first four of each whole in bytes 0..7, of the others
// the low nibbles in bytes 8..11 and the high bits above the first four.
struct ScaleAndMinimum {
  int scale;
  int minimum;
};

ScaleAndMinimum q4_scale(const uint8_t* packed, int j) {
  if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
  return {(packed[j + 4] & 15) | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4};
}

// scale, scale of the minima | scales and minima | nibbles
void decode_q4_k(const uint8_t* block, float* values) {
  const uint8_t* codes = block + 16;
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  for (int j = 0; j < 8; ++j) {
    const ScaleAndMinimum both = q4_scale(block + 4, j);
    const float step = scale * static_cast<float>(both.scale);
    const float low = minimum * static_cast<float>(both.minimum);
    for (int i = 0; i < 32; ++i) {
      const int code = codes[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
      values[j * 32 + i] = step * static_cast<float>(code) - low;
    }
  }
}

// scale, scale of the minima | scales and minima | fifth bits | nibbles
void decode_q5_k(const uint8_t* block, float* values) {
  const uint8_t* high = block + 16;
  const uint8_t* codes = block + 48;
  const float scale = half_at(block);
  const float minimum = half_at(block + 2);
  for (int j = 0; j < 8; ++j) {
    const ScaleAndMinimum both = q4_scale(block + 4, j);
    const float step = scale * static_cast<float>(both.scale);
    const float low = minimum * static_cast<float>(both.minimum);
    for (int i = 0; i < 32; ++i) {
      const int code = (codes[j / 2 * 32 + i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
      values[j * 32 + i] = step * static_cast<float>(code) - low;
    }
  }
}

// nibbles, 64 bytes for each half | pairs of high bits, 32 bytes for each half | scales s8 | scale
void decode_q6_k(const uint8_t* block, float* values) {
  const float scale = half_at(block + 208);
  for (int group = 0; group < 16; ++group, values += 16) {
    const int half = group / 8;
    const int quarter = group / 2 % 4;
    const uint8_t* low = block + half * 64 + quarter % 2 * 32 + group % 2 * 16;
    const uint8_t* high = block + 128 + half * 32 + group % 2 * 16;
    const float step = scale * static_cast<float>(static_cast<int8_t>(block[192 + group]));
    for (int i = 0; i < 16; ++i) {
      const int code = (low[i] >> (quarter / 2 * 4) & 15) | (high[i] >> (quarter * 2) & 3) << 4;
      values[i] = step * static_cast<float>(code - 32);
    }
  }
}

void decode_f32(const uint8_t* block, float* values) {
  *values = load<float>(block);
}

void decode_f16(const uint8_t* block, float* values) {
  *values = half_at(block);
}

void decode_bf16(const uint8_t* block, float* values) {
  *values = bf16_at(block);
}

template <void (*Decode)(const uint8_t*, float*), int kElements, int kBytes>
bool decode_all(const uint8_t* source, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b) Decode(source + b * kBytes, values + b * kElements);
  return true;
}

}  // namespace

bool decode_blocks(GgmlType type, const uint8_t* source, int64_t blocks, float* values) {
  switch (type) {
    case GgmlType::kF32:
      return decode_all<decode_f32, 1, 4>(source, blocks, values);
    case GgmlType::kF16:
      return decode_all<decode_f16, 1, 2>(source, blocks, values);
    case GgmlType::kBF16:
      return decode_all<decode_bf16, 1, 2>(source, blocks, values);
    case GgmlType::kQ4_0:
      return decode_all<decode_q4_0, kSmall, 18>(source, blocks, values);
    case GgmlType::kQ4_1:
      return decode_all<decode_q4_1, kSmall, 20>(source, blocks, values);
    case GgmlType::kQ5_0:
      return decode_all<decode_q5_0, kSmall, 22>(source, blocks, values);
    case GgmlType::kQ5_1:
      return decode_all<decode_q5_1, kSmall, 24>(source, blocks, values);
    case GgmlType::kQ8_0:
      return decode_all<decode_q8_0, kSmall, 34>(source, blocks, values);
    case GgmlType::kQ2_K:
      return decode_all<decode_q2_k, kLarge, 84>(source, blocks, values);
    case GgmlType::kQ3_K:
      return decode_all<decode_q3_k, kLarge, 110>(source, blocks, values);
    case GgmlType::kQ4_K:
      return decode_all<decode_q4_k, kLarge, 144>(source, blocks, values);
    case GgmlType::kQ5_K:
      return decode_all<decode_q5_k, kLarge, 176>(source, blocks, values);
    case GgmlType::kQ6_K:
      return decode_all<decode_q6_k, kLarge, 210>(source, blocks, values);
    case GgmlType::kMXFP4:
      return decode_all<decode_mxfp4, kSmall, 17>(source, blocks, values);
  }
  return false;
}

}  // namespace arrowmind::interchange
