// The oracle of the grid forms: plain loops in the order the contract in qmatmul.h names. Never vectorised
// (cmake/isa.cmake).

#include "kernels/grid/values.h"
#include "kernels/qmatmul/epilogue.h"
#include "kernels/qmatmul/scalar_floats.h"

namespace arrowmind::qmatmul {
namespace {

using namespace arrowmind::ARROWMIND_ISA;

constexpr int64_t kRowBytes = kPanel * kQuad;

// The level of a code that follows others of its sequence, code(i) the one i places before it.
template <class Tables, class Code>
int32_t trellis_level(const Code& code) {
  const int nibble = grid::nibble_of<Tables>(code(0), code(1));
  const int before = grid::nibble_of<Tables>(code(Tables::kBack), code(Tables::kBack + 1));
  return Tables::kFirst[nibble] + Tables::kSecond[before];
}

// Trellis codes of one panel.
template <class Tables>
class TrellisLevels {
 public:
  TrellisLevels(const Params& p, int64_t n) {
    const int64_t block = block_of(p.grid.group);
    const int64_t quads = (p.k + block - 1) / block * block / kQuad;
    codes_ = static_cast<const uint8_t*>(p.w) + n / kPanel * quads * kRowBytes * Tables::kBits / 8;
  }

  int32_t operator()(int64_t k, int64_t j) const {
    return trellis_level<Tables>([&](int64_t back) { return code(k / kQuad - back, j * kQuad + k % kQuad); });
  }

 private:
  // The code of a four of k, of one of the 64 streams of a panel; 0 before the first.
  int code(int64_t four, int64_t stream) const {
    int found = 0;
    for (int64_t i = 0; i < Tables::kBits && four >= 0; ++i) {
      const int64_t bit = four * Tables::kBits + i;
      found |= (codes_[bit / 8 * kRowBytes + stream] >> bit % 8 & 1) << i;
    }
    return found;
  }

  const uint8_t* codes_;
};

// Codes of one panel, decoded as GridTraits says.
class PanelLevels {
 public:
  PanelLevels(const Params& p, const GridTraits& traits, bool is_fp4, int64_t n)
      : planes_(traits.planes), is_fp4_(is_fp4) {
    const int64_t block = block_of(p.grid.group);
    const int64_t rows = (p.k + block - 1) / block * block / kQuad / planes_;
    codes_ = static_cast<const uint8_t*>(p.w) + n / kPanel * rows * kRowBytes;
  }

  int32_t operator()(int64_t k, int64_t j) const {
    const int64_t four = k / kQuad;
    const uint8_t byte = codes_[four / planes_ * kRowBytes + j * kQuad + k % kQuad];
    if (planes_ == 1) return static_cast<int8_t>(byte);
    if (planes_ == 4) return byte >> 2 * (four % 4) & 3;
    const int code = byte >> 4 * (four % 2) & 15;
    return is_fp4_ ? kFp4Levels[code] : code;
  }

 private:
  const uint8_t* codes_;
  const int planes_;
  const bool is_fp4_;
};

template <class Levels>
void grid_matmul(const Params& p, const GridTraits& traits, const Levels& levels_of) {
  const int64_t block = block_of(p.grid.group), part = part_of(p.grid.group);
  const int64_t blocks = (p.k + block - 1) / block, parts = block / part;
  for (int64_t n = p.n_begin; n < p.n_end; n += kPanel) {
    const auto level = levels_of(n);
    const PanelScales scales(p.grid, traits, p.k, n);
    const PanelEpilogue epilogue(p, n);
    for (int64_t m = 0; m < p.m; ++m) {
      const int8_t* a = static_cast<const int8_t*>(p.a) + m * p.a_stride;
      F32x16 out = zero();
      for (int64_t b = 0; b < blocks; ++b) {
        F32x16 value = zero();
        for (int64_t i = 0; i < parts; ++i) {
          int32_t acc[kPanel] = {};
          for (int64_t k = b * block + i * part; k < b * block + (i + 1) * part && k < p.k; ++k) {
            for (int64_t j = 0; j < kPanel; ++j) acc[j] += a[k] * level(k, j);
          }
          const F32x16 scale = scales.scale(b * parts + i);
          F32x16 real = load_i32(acc);
          if (traits.offset != 0) {
            const float sum = static_cast<float>(p.a_sum[(m * blocks + b) * parts + i]);
            real = fma(scales.zero_steps(b * parts + i), set1(-traits.zero_step * sum), real);
          }
          value = i == 0 ? real * scale : fma(real, scale, value);
        }
        out = fma(value, set1(p.a_scale[m * blocks + b]), out);
      }
      epilogue.finish(m, out);
    }
  }
}

template <class Levels>
void grid_float_matmul(const Params& p, const GridTraits& traits, const Levels& levels_of) {
  const int64_t part = part_of(p.grid.group);
  for (int64_t n = p.n_begin; n < p.n_end; n += kPanel) {
    const auto level = levels_of(n);
    const PanelScales scales(p.grid, traits, p.k, n);
    const PanelEpilogue epilogue(p, n);
    for (int64_t m = 0; m < p.m; ++m) {
      F32x16 out = zero();
      for (int64_t k = 0; k < p.k; ++k) {
        F32x16 w;
        for (int64_t j = 0; j < kPanel; ++j) w.lane[j] = static_cast<float>(level(k, j));
        w = w - (scales.has_zeros() ? scales.zero_points(k / part) : set1(traits.offset));
        out = fma(set1(float_at(p, m * p.a_stride + k)), w * scales.scale(k / part), out);
      }
      epilogue.finish(m, out);
    }
  }
}

void grid_matmul(const Params& p, const GridTraits& traits, bool is_fp4 = false) {
  grid_matmul(p, traits, [&](int64_t n) { return PanelLevels(p, traits, is_fp4, n); });
}
void grid_float_matmul(const Params& p, const GridTraits& traits, bool is_fp4 = false) {
  grid_float_matmul(p, traits, [&](int64_t n) { return PanelLevels(p, traits, is_fp4, n); });
}
template <class Tables>
void trellis_matmul(const Params& p) {
  grid_matmul(p, kTrellisTraits<Tables>, [&](int64_t n) { return TrellisLevels<Tables>(p, n); });
}
template <class Tables>
void trellis_float_matmul(const Params& p) {
  grid_float_matmul(p, kTrellisTraits<Tables>, [&](int64_t n) { return TrellisLevels<Tables>(p, n); });
}

}  // namespace

void qmatmul_i8b_i8g_scalar(const Params& p) {
  grid_matmul(p, kI8Traits);
}
void qmatmul_i8b_i4g_scalar(const Params& p) {
  grid_matmul(p, kI4Traits);
}
void qmatmul_i8b_i2g_scalar(const Params& p) {
  grid_matmul(p, kI2Traits);
}
void qmatmul_i8b_fp4g_scalar(const Params& p) {
  grid_matmul(p, kFp4Traits, true);
}
void qmatmul_f32_i8g_scalar(const Params& p) {
  grid_float_matmul(p, kI8Traits);
}
void qmatmul_f32_i4g_scalar(const Params& p) {
  grid_float_matmul(p, kI4Traits);
}
void qmatmul_f32_i2g_scalar(const Params& p) {
  grid_float_matmul(p, kI2Traits);
}
void qmatmul_f32_fp4g_scalar(const Params& p) {
  grid_float_matmul(p, kFp4Traits, true);
}
void qmatmul_i8b_t2g_scalar(const Params& p) {
  trellis_matmul<grid::Trellis2Tables>(p);
}
void qmatmul_i8b_t3g_scalar(const Params& p) {
  trellis_matmul<grid::Trellis3Tables>(p);
}
void qmatmul_f32_t2g_scalar(const Params& p) {
  trellis_float_matmul<grid::Trellis2Tables>(p);
}
void qmatmul_f32_t3g_scalar(const Params& p) {
  trellis_float_matmul<grid::Trellis3Tables>(p);
}

}  // namespace arrowmind::qmatmul
