#pragma once

// What the codes of a grid stand for, and the scales of a group as floats. Included by the ISA sources only.

#include "kernels/grid/trellis.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

using grid::Grid;
using grid::Scale;

// Kernels compute with whole levels, `unit` of which is one: level(code) = (decoded - offset) * unit.
struct GridTraits {
  int planes;    // fours of k in a row of 64 bytes; 1 where they are not decoded each by itself
  float offset;  // without zero points
  float unit;
  float zero_step;  // of a byte of zeros, in units; of one that stands for the offset where there are none
  int bits;         // of a code
};

constexpr GridTraits kI8Traits{1, 0.0f, 1.0f, 1.0f, 8};
constexpr GridTraits kI4Traits{2, 8.0f, 1.0f, 1.0f / 16, 4};
constexpr GridTraits kI2Traits{4, 1.5f, 1.0f, 1.0f / 64, 2};
constexpr GridTraits kFp4Traits{2, 12.0f, 0.5f, 1.0f, 4};  // decoded to twice the number, + 12: 0 .. 24

template <class Tables>
constexpr GridTraits kTrellisTraits{1, Tables::kOffset, 1.0f, 0.5f, Tables::kBits};

// Twice the magnitudes of E2M1, both signs, + 12; by code.
alignas(16) constexpr uint8_t kFp4Levels[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Sixteen stored scales. Outer scales are the caller's.
template <Scale type>
inline F32x16 scales_at(const void* stored) {
  const auto* bytes = static_cast<const uint8_t*>(stored);
  if constexpr (type == Scale::kF32) return load(static_cast<const float*>(stored));
  if constexpr (type == Scale::kF16) return load_f16(static_cast<const uint16_t*>(stored));
  if constexpr (type == Scale::kU8) return load_u8(bytes);
  if constexpr (type == Scale::kE8M0) return load_bits<23>(bytes);
  // Exponent and mantissa lie where a bias of 7 - 127 is missing: 2^120 makes up for it, and turns
  // subnormals of both types into each other exactly.
  if constexpr (type == Scale::kE4M3) return load_bits<20>(bytes) * set1(0x1p120f);
}

constexpr int64_t scale_bytes(Scale type) {
  return type == Scale::kF32 ? 4 : type == Scale::kF16 ? 2 : 1;
}

// The same from `index` on.
template <Scale type>
inline F32x16 decode_scales(const Grid& grid, int64_t index) {
  return scales_at<type>(static_cast<const char*>(grid.scales) + index * scale_bytes(type));
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

  // Zero points in steps: what they take off a sum of products is a multiple of steps, too, and exact in
  // float32.
  F32x16 zero_steps(int64_t part) const {
    return has_zeros() ? load_u8(grid_.zeros + index(part)) : set1(offset_ / step_);
  }

  // Scales of `count` parts from `part` on, [count][16]; with kZeros [count][2][16], zero points in steps
  // behind each.
  template <bool kZeros>
  void decode(int64_t part, int64_t count, float* out) const {
    with_scale_type(grid_.scale_type, [&]<Scale type>() {
      if (kZeros && has_zeros()) {
        decode_as<type, kZeros, true>(part, count, out);
      } else {
        decode_as<type, kZeros, false>(part, count, out);
      }
    });
  }

 private:
  template <Scale type, bool kZeros, bool kStored>
  void decode_as(int64_t part, int64_t count, float* out) const {
    const F32x16 outer = outer_, whole = set1(offset_ / step_);
    const Grid grid = grid_;
    const auto put = [&](int64_t at) {
      store(out, decode_scales<type>(grid, at) * outer);
      if constexpr (kZeros) store(out + 16, kStored ? load_u8(grid.zeros + at) : whole);
      out += kZeros ? 32 : 16;
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
