#pragma once

// What the codes of a grid stand for, and the scales of a group as floats. Included by the ISA sources only.

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

using qmatmul::Grid;
using qmatmul::kPanel;
using qmatmul::Scale;

// Kernels compute with whole levels, `unit` of which is one: level(code) = (decoded - offset) * unit.
struct GridTraits {
  int planes;      // fours of k in a row of 64 bytes
  int32_t offset;  // without zero points
  float unit;
  float zero_step;  // of a byte of zeros, in units
};

constexpr GridTraits kI8Traits{1, 0, 1.0f, 0.0f};
constexpr GridTraits kI4Traits{2, 8, 1.0f, 1.0f / 16};
constexpr GridTraits kI2Traits{4, 3, 0.5f, 1.0f / 32};  // decoded to 0 2 4 6
constexpr GridTraits kFp4Traits{2, 12, 0.5f, 0.0f};     // decoded to twice the number, + 12: 0 .. 24

// Twice the magnitudes of E2M1, both signs, + 12; by code.
alignas(16) constexpr uint8_t kFp4Levels[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Scales and zero points of the sixteen outputs of a panel.
class PanelScales {
 public:
  PanelScales(const Grid& grid, const GridTraits& traits, int64_t k, int64_t n)
      : grid_(grid),
        unit_(traits.unit),
        step_(traits.zero_step),
        groups_(grid.group == 0 ? 1 : (k + grid.group - 1) / grid.group),
        first_(n / kPanel * groups_ * kPanel),
        part_(qmatmul::part_of(grid.group)) {
    outer_ = grid.outer == nullptr ? set1(1.0f) : load(grid.outer + n);
  }

  bool has_zeros() const { return grid_.zeros != nullptr; }

  // Of the part that starts at `part` * part_of(group) of k, in units: scale * unit.
  F32x16 scale(int64_t part) const { return decode(first_ + group(part) * kPanel) * set1(unit_); }

  // - zero * scale of that part, given its scale.
  F32x16 shift(int64_t part, F32x16 scale) const {
    const F32x16 zero_points = load_u8(grid_.zeros + first_ + group(part) * kPanel) * set1(-step_);
    return zero_points * scale;
  }

  // Zero points in units.
  F32x16 zero_points(int64_t part) const {
    return load_u8(grid_.zeros + first_ + group(part) * kPanel) * set1(step_);
  }

 private:
  // Blocks of k behind the last group hold padding; any scale does.
  int64_t group(int64_t part) const {
    if (grid_.group == 0) return 0;
    const int64_t group = part * part_ / grid_.group;
    return group < groups_ ? group : groups_ - 1;
  }

  F32x16 decode(int64_t index) const {
    switch (grid_.scale_type) {
      case Scale::kF32:
        return load(static_cast<const float*>(grid_.scales) + index);
      case Scale::kF16:
        return load_f16(static_cast<const uint16_t*>(grid_.scales) + index);
      case Scale::kU8:
        return load_u8(bytes() + index) * outer_;
      case Scale::kE8M0:
        return load_bits<23>(bytes() + index);
      // Exponent and mantissa lie 7 bits too low for a float's bias of 127: 2^120 makes up for it, and turns
      // subnormals of both into each other exactly.
      case Scale::kE4M3:
        return load_bits<20>(bytes() + index) * set1(0x1p120f) * outer_;
    }
    return zero();
  }
  const uint8_t* bytes() const { return static_cast<const uint8_t*>(grid_.scales); }

  const Grid grid_;
  const float unit_, step_;
  const int64_t groups_, first_, part_;
  F32x16 outer_;
};

}  // namespace arrowmind::ARROWMIND_ISA
