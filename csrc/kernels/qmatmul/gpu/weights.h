#pragma once

// Kinds of packed weights. A thread reads units: what a panel has for the next kFours fours of k, of which it
// takes four outputs (number `chunk` of four), 16 bytes of each row of 64. Of each kind:
//
//   Words        four outputs of a unit
//   four()       codes of a four of k of one of them as bytes: levels, signed where kSigned
//   values()     the same as floats, less a zero point
//   kScaling     0: none, 1: a scale per output, 2: a grid
//   kOffset, kUnit, kZeroStep    as kernels/grid/values.h has them
//   kTerms       bfloat16 numbers that add up to a weight less its zero point, exactly
//   kUnitBytes   of a unit of a panel
//   kTable       bytes of the table of levels that four() looks into, 0: none

#include "device/gpu/language.h"
#include "kernels/grid/trellis.h"

namespace arrowmind::device::gpu {

// Rows of 64 bytes are four of these.
struct RowOfPanel {
  const void* w;
  uint64_t row;
  ARROWMIND_DEVICE Four operator()(uint64_t index, uint32_t chunk) const {
    return read_four(static_cast<const char*>(w) + (row + index) * 64 + chunk * 16);
  }
};

template <bool kIsSigned>
ARROWMIND_DEVICE void levels(uint32_t bytes, float zero, float (&out)[4]) {
  const uint32_t word = kIsSigned ? bytes ^ 0x80808080u : bytes;
  ARROWMIND_UNROLL
  for (int i = 0; i < 4; ++i) out[i] = (float_of_byte(word, i) - (kIsSigned ? 128.0f : 0.0f)) - zero;
}

struct CodedWeights {
  static constexpr uint32_t kTerms = 1, kTable = 0, kUnitBytes = 64;
  static constexpr uint32_t kScaling = 2;
  static constexpr float kUnit = 1.0f;
  static constexpr bool kSigned = false;
  ARROWMIND_DEVICE static void fill_table(uint8_t*) {}
};

// 8 bits or fewer, each code by itself.
template <uint32_t kBits>
struct PlainWeights : CodedWeights {
  static constexpr uint32_t kFours = 8 / kBits;
  using Words = Four;
  ARROWMIND_DEVICE static Words load(const void* w, uint64_t panel_units, uint32_t panel, uint32_t unit,
                                     uint32_t chunk) {
    return RowOfPanel{w, panel * panel_units}(unit, chunk);
  }
  ARROWMIND_DEVICE static uint32_t four(const Words& words, int output, uint32_t place, const uint8_t*) {
    if constexpr (kBits == 8) return words.word[output];
    return words.word[output] >> kBits * place & (0x01010101u * ((1u << kBits) - 1));
  }
};

struct I8Grid : PlainWeights<8> {
  static constexpr bool kSigned = true;
  static constexpr float kOffset = 0.0f, kZeroStep = 1.0f;
};
struct I4Grid : PlainWeights<4> {
  static constexpr float kOffset = 8.0f, kZeroStep = 1.0f / 16;
};
struct I2Grid : PlainWeights<2> {
  static constexpr float kOffset = 1.5f, kZeroStep = 1.0f / 64;
};
// A scale per output, floats as zero points.
struct I8Weights : I8Grid {
  static constexpr uint32_t kScaling = 1;
};

// Levels are twice the numbers of E2M1, plus 12.
struct Fp4Grid : PlainWeights<4> {
  static constexpr float kOffset = 12.0f, kUnit = 0.5f, kZeroStep = 1.0f;
  ARROWMIND_DEVICE static uint32_t four(const Words& words, int output, uint32_t place,
                                        const uint8_t* table) {
    const uint32_t codes = PlainWeights<4>::four(words, output, place, table);
    const uint32_t low = codes & 0x07070707u, pairs = low | low >> 4;
    const uint32_t chosen = (pairs & 0xff) | (pairs >> 8 & 0xff00);
    const uint32_t twice = choose_bytes(0x03020100u, 0x0c080604u, chosen);
    const uint32_t negative = (codes >> 3 & 0x01010101u) * 0xffu;
    return 0x0c0c0c0cu + twice - 2 * (twice & negative);
  }
};

// Levels by the bits of the stream that end with a code: kFirst by its nibble in the high bits, kSecond by
// the earlier nibble in the low ones.
template <class Tables, uint32_t kSize>
struct TrellisWeights : CodedWeights {
  static constexpr float kOffset = Tables::kOffset, kZeroStep = 0.5f;
  static constexpr uint32_t kTable = kSize;

  ARROWMIND_DEVICE static void fill_table(uint8_t* table) {
    constexpr int kShift = Tables::kBits == 2 ? 4 : 3;
    constexpr uint64_t kFirst[2] = {packed(Tables::kFirst), packed(Tables::kFirst + 8)};
    constexpr uint64_t kSecond[2] = {packed(Tables::kSecond), packed(Tables::kSecond + 8)};
    for (uint32_t i = thread(); i < kSize; i += threads()) {
      const uint32_t nibble = i >> kShift & 15, before = i & 15;
      const uint64_t first = nibble < 8 ? kFirst[0] : kFirst[1],
                     second = before < 8 ? kSecond[0] : kSecond[1];
      table[i] = static_cast<uint8_t>((first >> 8 * (nibble & 7)) + (second >> 8 * (before & 7)));
    }
  }

  static constexpr uint64_t packed(const uint8_t* bytes) {
    uint64_t word = 0;
    for (int i = 7; i >= 0; --i) word = word << 8 | bytes[i];
    return word;
  }
};

struct Trellis2 : TrellisWeights<grid::Trellis2Tables, 256> {
  static constexpr uint32_t kFours = 4;
  struct Words {
    Four before, codes;
  };
  ARROWMIND_DEVICE static Words load(const void* w, uint64_t panel_units, uint32_t panel, uint32_t unit,
                                     uint32_t chunk) {
    const RowOfPanel rows = {w, panel * panel_units};
    return {unit == 0 ? Four{} : rows(unit - 1, chunk), rows(unit, chunk)};
  }
  ARROWMIND_DEVICE static uint32_t four(const Words& words, int output, uint32_t place,
                                        const uint8_t* table) {
    uint32_t bytes = 0;
    ARROWMIND_UNROLL
    for (int i = 0; i < 32; i += 8) {
      const uint32_t stream = (words.before.word[output] >> i & 0xff) | (words.codes.word[output] >> i & 0xff)
                                                                            << 8;
      bytes |= uint32_t{table[stream >> (2 * place + 2) & 0xff]} << i;
    }
    return bytes;
  }
};

struct Trellis3 : TrellisWeights<grid::Trellis3Tables, 128> {
  static constexpr uint32_t kFours = 8, kUnitBytes = 192;
  struct Words {
    Four before, codes[3];
  };
  ARROWMIND_DEVICE static Words load(const void* w, uint64_t panel_units, uint32_t panel, uint32_t unit,
                                     uint32_t chunk) {
    const RowOfPanel rows = {w, 3 * panel * panel_units};
    const uint64_t row = 3 * uint64_t{unit};
    return {unit == 0 ? Four{} : rows(row - 1, chunk),
            {rows(row, chunk), rows(row + 1, chunk), rows(row + 2, chunk)}};
  }
  ARROWMIND_DEVICE static uint32_t four(const Words& words, int output, uint32_t place,
                                        const uint8_t* table) {
    uint32_t bytes = 0;
    ARROWMIND_UNROLL
    for (int i = 0; i < 32; i += 8) {
      const uint32_t stream =
          (words.before.word[output] >> i & 0xff) | (words.codes[0].word[output] >> i & 0xff) << 8 |
          (words.codes[1].word[output] >> i & 0xff) << 16 | (words.codes[2].word[output] >> i & 0xff) << 24;
      bytes |= uint32_t{table[stream >> (3 * place + 4) & 0x7f]} << i;
    }
    return bytes;
  }
};

template <class W>
ARROWMIND_DEVICE void values_of(const typename W::Words& words, int output, uint32_t place,
                                const uint8_t* table, float zero, float (&out)[4]) {
  if constexpr (W::kScaling == 0) {
    ARROWMIND_UNROLL
    for (int i = 0; i < 4; ++i) out[i] = words.value(i, output);
  } else {
    levels<W::kSigned>(W::four(words, output, place, table), zero, out);
  }
}

// Floats: rows of sixteen outputs, a unit is four rows.
struct FloatWeights {
  static constexpr bool kSigned = false;
  static constexpr float kUnit = 1.0f;
  static constexpr uint32_t kFours = 1, kScaling = 0, kTable = 0;
  ARROWMIND_DEVICE static void fill_table(uint8_t*) {}
};

struct F32Weights : FloatWeights {
  static constexpr uint32_t kTerms = 3, kUnitBytes = 64;
  struct Words {
    Four rows[4];
    ARROWMIND_DEVICE float value(int row, int output) const { return float_of(rows[row].word[output]); }
  };
  ARROWMIND_DEVICE static Words load(const void* w, uint64_t k, uint32_t panel, uint32_t unit,
                                     uint32_t chunk) {
    const RowOfPanel rows = {w, panel * k};
    Words words = {};
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      if (4 * unit + i < k) words.rows[i] = rows(4 * unit + i, chunk);
    }
    return words;
  }
};

template <bool kIsHalf>
struct ShortWeights : FloatWeights {
  static constexpr uint32_t kTerms = kIsHalf ? 2 : 1, kUnitBytes = 32;
  struct Words {
    Two rows[4];
    ARROWMIND_DEVICE float value(int row, int output) const {
      const uint32_t bits = rows[row].word[output / 2] >> 16 * (output & 1) & 0xffff;
      return kIsHalf ? half_float(bits) : bfloat(bits);
    }
  };
  ARROWMIND_DEVICE static Words load(const void* w, uint64_t k, uint32_t panel, uint32_t unit,
                                     uint32_t chunk) {
    const char* rows = static_cast<const char*>(w) + panel * k * 32 + chunk * 8;
    Words words = {};
    ARROWMIND_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      if (4 * unit + i < k) words.rows[i] = read_two(rows + (4 * uint64_t{unit} + i) * 32);
    }
    return words;
  }
};
using F16Weights = ShortWeights<true>;
using Bf16Weights = ShortWeights<false>;

// Units of a panel: of a grid, with k padded to a block. Of floats: k itself, as their load() has it.
template <class W>
ARROWMIND_DEVICE uint64_t panel_units(const LinearParameters& p) {
  if constexpr (W::kScaling == 0) return p.k;
  if constexpr (W::kScaling == 1) return ceil_of(p.k, 4);
  const uint32_t block = p.group == 0 ? 128 : p.group < 32 ? 32 : p.group;
  return ceil_of(p.k, block) * block / (4 * W::kFours);
}

}  // namespace arrowmind::device::gpu
