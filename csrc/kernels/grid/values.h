#pragma once

// What the codes of a grid stand for, and the scales of a group as floats. Included by the ISA sources only.

#include "kernels/grid/grid.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

using grid::Grid;
using grid::Scale;

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

// Sixteen stored scales from `index` on. Outer scales are the caller's.
inline F32x16 decode_scales(const Grid& grid, int64_t index) {
  const auto* bytes = static_cast<const uint8_t*>(grid.scales);
  switch (grid.scale_type) {
    case Scale::kF32:
      return load(static_cast<const float*>(grid.scales) + index);
    case Scale::kF16:
      return load_f16(static_cast<const uint16_t*>(grid.scales) + index);
    case Scale::kU8:
      return load_u8(bytes + index);
    case Scale::kE8M0:
      return load_bits<23>(bytes + index);
    // Exponent and mantissa lie where a bias of 7 - 127 is missing: 2^120 makes up for it, and turns
    // subnormals of both types into each other exactly.
    case Scale::kE4M3:
      return load_bits<20>(bytes + index) * set1(0x1p120f);
  }
  return zero();
}

// Scales and zero points of the sixteen outputs of a panel.
class PanelScales {
 public:
  PanelScales(const Grid& grid, const GridTraits& traits, int64_t k, int64_t n)
      : grid_(grid),
        unit_(traits.unit),
        step_(traits.zero_step),
        offset_(static_cast<float>(traits.offset)),
        groups_(grid.group == 0 ? 1 : (k + grid.group - 1) / grid.group),
        first_(n * groups_) {
    outer_ = grid.outer == nullptr ? set1(1.0f) : load(grid.outer + n);
  }

  bool has_zeros() const { return grid_.zeros != nullptr; }

  // Of the part that starts at `part` * part_of(group) of k, in units: scale * unit.
  F32x16 scale(int64_t part) const {
    F32x16 scale = decode_scales(grid_, index(part));
    if (grid_.outer != nullptr) scale = scale * outer_;
    return scale * set1(unit_);
  }

  // Zero points in units.
  F32x16 zero_points(int64_t part) const { return load_u8(grid_.zeros + index(part)) * set1(step_); }

  // - zero * scale of that part, given its scale; without zero points the offset is one.
  F32x16 shift(int64_t part, F32x16 scale) const {
    if (!has_zeros()) return set1(-offset_) * scale;
    return load_u8(grid_.zeros + index(part)) * set1(-step_) * scale;
  }

 private:
  int64_t index(int64_t part) const { return first_ + group(part) * 16; }
  // Every part is a group, or of the only one. Parts behind the last group hold padding; any scale does.
  int64_t group(int64_t part) const { return part < groups_ ? part : groups_ - 1; }

  const Grid grid_;
  const float unit_, step_, offset_;
  const int64_t groups_, first_;
  F32x16 outer_;
};

}  // namespace arrowmind::ARROWMIND_ISA
