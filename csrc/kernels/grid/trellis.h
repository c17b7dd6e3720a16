#pragma once

// Trellis codes: what a code of 2 or 3 bits stands for depends on the codes before it.
//
// The codes of an output at k, k - 4, k - 8 ... are one sequence; their bits, from the low ones of the first
// code on, are a stream that has zeros before it. The nibble of a code is the four bits of the stream that
// end with it, and
//
//   level = first[nibble] + second[nibble of the code kBack codes before in its sequence]
//
// so a level is one of 256 (2 bits) or 128 (3 bits), chosen by the code and what led to it: many more than a
// code can tell apart by itself. All codes are valid. The stride of four is what makes the streams run
// through bytes: packed codes (grid.h) hold four, or in three bytes eight, codes of one stream side by side.

#include "kernels/grid/grid.h"

namespace arrowmind::grid {

// Found by Lloyd's iterations on Gaussian samples, then rounded; part of the format
// (python/arrowmind/weights/formats/trellis.py has the same).
struct Trellis2Tables {
  static constexpr int kBits = 2;
  static constexpr int kBack = 2;
  static constexpr int kLargest = 28;
  static constexpr float kOffset = 13.5f;
  alignas(16) static constexpr uint8_t kFirst[16] = {0, 11, 6, 16, 8, 6, 13, 7, 13, 2, 1, 3, 5, 9, 8, 11};
  alignas(16) static constexpr uint8_t kSecond[16] = {7, 10, 2, 5, 2, 6, 7, 11, 5, 1, 6, 10, 5, 0, 12, 8};
};
struct Trellis3Tables {
  static constexpr int kBits = 3;
  static constexpr int kBack = 1;
  static constexpr int kLargest = 61;
  static constexpr float kOffset = 30.5f;
  alignas(16) static constexpr uint8_t kFirst[16] = {11, 0, 6,  22, 15, 13, 31, 7,
                                                     18, 9, 24, 19, 0,  28, 20, 15};
  alignas(16) static constexpr uint8_t kSecond[16] = {20, 16, 12, 4,  9,  30, 16, 24,
                                                      30, 0,  19, 24, 18, 14, 5,  10};
};

// The nibble of a code behind another of its sequence.
template <class Tables>
constexpr int nibble_of(int code, int before) {
  return (before >> (2 * Tables::kBits - 4) | code << (4 - Tables::kBits)) & 15;
}

}  // namespace arrowmind::grid
