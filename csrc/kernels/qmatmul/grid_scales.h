#pragma once

// Where a tile of a grid finds the scales and zero points of its parts: decoded to floats before, or as they
// are stored. For each block of k a tile asks each of its panels, then goes on with next().

#include "kernels/grid/values.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

using qmatmul::kPanel;

// As PanelScales::decode<kZeros> lays them, panels `run` floats apart.
template <bool kZeros>
struct DecodedScales {
  static constexpr int64_t kPart = kZeros ? 2 * kPanel : kPanel;  // floats of a part

  F32x16 scale(int panel, int part) const { return load(at + panel * run + part * kPart); }
  F32x16 zeros(int panel, int part) const { return load(at + panel * run + part * kPart + kPanel); }
  void next(int parts) { at += parts * kPart; }

  const float* at;
  int64_t run;
};

// Which scales a tile begins with.
struct ScalePlace {
  int64_t parts;  // of an output
  int64_t part, n;
};

// As they are stored, one for each part, which is one a block; of codes whose unit is one. Decoding where
// they are used takes half of the instructions of a pass before that stores floats, but is for a single row
// alone.
template <class Codes, int P, Scale type, bool kHasZeros>
class StoredScales {
 public:
  StoredScales(const Grid& grid, const ScalePlace& place) : panel_(place.parts * kPanel) {
    const int64_t first = place.n / kPanel * panel_ + place.part * kPanel;
    scales_ = static_cast<const char*>(grid.scales) + first * scale_bytes(type);
    if (kHasZeros) zeros_ = grid.zeros + first;
    for (int i = 0; i < P && kOuter; ++i) outer_[i] = load(grid.outer + place.n + i * kPanel);
  }

  F32x16 scale(int panel, int /*part*/) const {
    const F32x16 stored = scales_at<type>(scales_ + panel * panel_ * scale_bytes(type));
    return kOuter ? stored * outer_[panel] : stored;
  }
  F32x16 zeros(int panel, int /*part*/) const {
    if constexpr (kHasZeros) return load_u8(zeros_ + panel * panel_);
    return set1(Codes::kTraits.offset / Codes::kTraits.zero_step);
  }
  // Asks for what lies `parts` further along each panel. (Inline: a call of what only asks has no effect to a
  // compiler, which leaves it out.)
  template <int locality>
  [[gnu::always_inline]] void fetch(int64_t parts) const {
#pragma GCC unroll 4
    for (int64_t i = 0; i < P; ++i) {
      __builtin_prefetch(scales_ + (i * panel_ + parts * kPanel) * scale_bytes(type), 0, locality);
      if constexpr (kHasZeros) __builtin_prefetch(zeros_ + i * panel_ + parts * kPanel, 0, locality);
    }
  }
  void next(int /*parts*/) {
    scales_ += kPanel * scale_bytes(type);
    if constexpr (kHasZeros) zeros_ += kPanel;
  }

 private:
  static constexpr bool kOuter = type == Scale::kU8;

  int64_t panel_;  // scales from one panel to the next
  const char* scales_;
  const uint8_t* zeros_ = nullptr;
  F32x16 outer_[kOuter ? P : 1];
};

// body(scales) for the types of scales that are common; false, and nothing done, for the others.
template <class Codes, int P, class Body>
[[gnu::always_inline]] inline bool with_stored_scales(const Grid& grid, const ScalePlace& place,
                                                      const Body& body) {
  if (grid.group < 32) return false;
  const bool zeros = grid.zeros != nullptr;
  if (grid.scale_type == Scale::kF16) {
    zeros ? body(StoredScales<Codes, P, Scale::kF16, true>(grid, place))
          : body(StoredScales<Codes, P, Scale::kF16, false>(grid, place));
  } else if (grid.scale_type == Scale::kU8) {
    zeros ? body(StoredScales<Codes, P, Scale::kU8, true>(grid, place))
          : body(StoredScales<Codes, P, Scale::kU8, false>(grid, place));
  } else {
    return false;
  }
  return true;
}

}  // namespace arrowmind::ARROWMIND_ISA
