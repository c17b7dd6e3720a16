#pragma once

// What the codes of a grid stand for, and the scales of a group as floats. Included by the ISA sources only.

#include "kernels/grid/grid.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

using grid::Grid;
using grid::Scale;

// Kernels compute with whole levels, `unit` of which is one: level(code) = (decoded - offset) * unit.
struct GridTraits {
  int planes;    // fours of k in a row of 64 bytes
  float offset;  // without zero points
  float unit;
  float zero_step;  // of a byte of zeros, in units; of one that stands for the offset where there are none
};

constexpr GridTraits kI8Traits{1, 0.0f, 1.0f, 1.0f};
constexpr GridTraits kI4Traits{2, 8.0f, 1.0f, 1.0f / 16};
constexpr GridTraits kI2Traits{4, 1.5f, 1.0f, 1.0f / 64};
constexpr GridTraits kFp4Traits{2, 12.0f, 0.5f, 1.0f};  // decoded to twice the number, + 12: 0 .. 24

// Twice the magnitudes of E2M1, both signs, + 12; by code.
alignas(16) constexpr uint8_t kFp4Levels[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Sixteen stored scales from `index` on. Outer scales are the caller's.
template <Scale type>
inline F32x16 decode_scales(const Grid& grid, int64_t index) {
  const auto* bytes = static_cast<const uint8_t*>(grid.scales);
  if constexpr (type == Scale::kF32) return load(static_cast<const float*>(grid.scales) + index);
  if constexpr (type == Scale::kF16) return load_f16(static_cast<const uint16_t*>(grid.scales) + index);
  if constexpr (type == Scale::kU8) return load_u8(bytes + index);
  if constexpr (type == Scale::kE8M0) return load_bits<23>(bytes + index);
  // Exponent and mantissa lie where a bias of 7 - 127 is missing: 2^120 makes up for it, and turns
  // subnormals of both types into each other exactly.
  if constexpr (type == Scale::kE4M3) return load_bits<20>(bytes + index) * set1(0x1p120f);
}

// body.template operator()<type>() for the type of a grid's scales.
template <typename Body>
inline void with_scale_type(Scale type, const Body& body) {
  switch (type) {
    case Scale::kF32:
      return body.template operator()<Scale::kF32>();
    case Scale::kF16:
      return body.template operator()<Scale::kF16>();
    case Scale::kU8:
      return body.template operator()<Scale::kU8>();
    case Scale::kE8M0:
      return body.template operator()<Scale::kE8M0>();
    case Scale::kE4M3:
      return body.template operator()<Scale::kE4M3>();
  }
}

inline F32x16 decode_scales(const Grid& grid, int64_t index) {
  F32x16 scales = zero();
  with_scale_type(grid.scale_type, [&]<Scale type>() { scales = decode_scales<type>(grid, index); });
  return scales;
}

// Scales and zero points of the sixteen outputs of a panel. (Groups are powers of two: a division for each
// panel takes as long as some parts of one row.)
class PanelScales {
 public:
  PanelScales(const Grid& grid, const GridTraits& traits, int64_t k, int64_t n)
      : grid_(grid),
        step_(traits.zero_step),
        offset_(traits.offset),
        groups_(grid.group == 0 ? 1
                                : (k + grid.group - 1) >> __builtin_ctzll(static_cast<uint64_t>(grid.group))),
        first_(n * groups_),
        outer_(grid.outer == nullptr ? set1(traits.unit) : load(grid.outer + n) * set1(traits.unit)) {}

  bool has_zeros() const { return grid_.zeros != nullptr; }

  // Of the part that starts at `part` * part_of(group) of k, in units: scale * unit.
  F32x16 scale(int64_t part) const { return decode_scales(grid_, index(part)) * outer_; }

  // Zero points in units.
  F32x16 zero_points(int64_t part) const { return load_u8(grid_.zeros + index(part)) * set1(step_); }

  // - zero * scale of that part, given its scale; without zero points the offset is one.
  F32x16 shift(int64_t part, F32x16 scale) const {
    if (!has_zeros()) return set1(-offset_) * scale;
    return load_u8(grid_.zeros + index(part)) * set1(-step_) * scale;
  }

  // Scales of `count` parts from `part` on, [count][16]. With kShifts, [count][2][16]: behind each what
  // becomes its shift by a multiplication with shift_step(), which is a power of two and left to the factor
  // that shifts have for each row of activations.
  template <bool kShifts>
  void decode(int64_t part, int64_t count, float* out) const {
    with_scale_type(grid_.scale_type, [&]<Scale type>() {
      if (kShifts && has_zeros()) {
        decode_as<type, kShifts, true>(part, count, out);
      } else {
        decode_as<type, kShifts, false>(part, count, out);
      }
    });
  }
  static constexpr float shift_step(const GridTraits& traits) { return -traits.zero_step; }

 private:
  template <Scale type, bool kShifts, bool kZeros>
  void decode_as(int64_t part, int64_t count, float* out) const {
    const F32x16 outer = outer_, whole = set1(offset_ / step_);
    const Grid grid = grid_;
    const auto put = [&](int64_t at) {
      const F32x16 scale = decode_scales<type>(grid, at) * outer;
      store(out, scale);
      if constexpr (kShifts) store(out + 16, (kZeros ? load_u8(grid.zeros + at) : whole) * scale);
      out += kShifts ? 32 : 16;
    };
    const int64_t own = groups_ - part < count ? groups_ - part : count;
    for (int64_t i = 0; i < own; ++i) put(index(part) + 16 * i);
    for (int64_t i = own < 0 ? 0 : own; i < count; ++i) put(index(groups_ - 1));
  }

  int64_t index(int64_t part) const { return first_ + group(part) * 16; }
  // Every part is a group, or of the only one. Parts behind the last group hold padding; any scale does.
  int64_t group(int64_t part) const { return part < groups_ ? part : groups_ - 1; }

  const Grid grid_;
  const float step_, offset_;
  const int64_t groups_, first_;
  const F32x16 outer_;
};

}  // namespace arrowmind::ARROWMIND_ISA
