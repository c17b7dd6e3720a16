#pragma once

#include <cstdint>

namespace arrowmind::grid {

// Weights on a grid: codes of 8, 4 or 2 bits, and a scale for each group of k of an output.
//
//   value = (level(code) - zero) * scale
//
//   weight     code           level without zero points   level with        zero           stored per byte
//   kI8Grid    int8 >= -127   code                        -                 -              1 four of k
//   kI4Grid    0 .. 15        code - 8                    code              byte / 16      2: bits 0-3, bits
//   4-7 kI2Grid    0 .. 3         code - 3/2                  code              byte / 64      4: bits 0-1,
//   2-3, .. kFp4Grid   E2M1           0 1/2 1 3/2 2 3 4 6, -      -                 -              2: bits
//   0-3, bits 4-7
//   kT2Grid, kT3Grid   0 .. 3, 0 .. 7: trellis.h; as kI2Grid, or eight fours of k in three rows, whose bytes
//   are one little-endian number of 24 bits: bits 0-2, 3-5, ..
//
// Row-major (tables): the codes of a row one after the other from the low bits of its first byte on, each row
// on a byte of its own; scales and zeros [n][groups]. Packed: [n / 16][rows][16 outputs][4 k], a row of 64
// bytes for every 1, 2 or 4 fours of k; n padded to 16, k to a block. Scales and zeros: [n / 16][groups][16].

enum class Scale : uint8_t {
  kF32,   // one per output
  kF16,   // binary16
  kU8,    // byte * outer[n]
  kE8M0,  // 2^(byte - 127), byte 0: 0
  kE4M3,  // OCP FP8 E4M3 without sign, * outer[n]
};

struct Grid {
  int64_t group = 0;  // k per scale: 16, 32, 64, 128; 0: all k of an output
  Scale scale_type = Scale::kF32;
  const void* scales = nullptr;    // [n / 16][groups][16]
  const float* outer = nullptr;    // [n padded to 16], kU8 and kE4M3
  const uint8_t* zeros = nullptr;  // like scales; null: no zero points
};

// k of one scale of the activations. (static: no copy of it may be shared between instruction sets.)
static constexpr int64_t block_of(int64_t group) {
  return group == 0 ? 128 : group < 32 ? 32 : group;
}
// k whose products are summed as integers: of one scale on both sides.
static constexpr int64_t part_of(int64_t group) {
  return group == 16 ? 16 : block_of(group);
}

}  // namespace arrowmind::grid
