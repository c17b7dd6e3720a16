#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cstring>

#include "kernels/embed/embed.h"
#include "kernels/grid/values.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Sixteen elements of a table row, from element k on; a part of them at the end of the row.
struct FloatRow {
  const float* data;
  F32x16 whole(int64_t k) const { return load(data + k); }
  F32x16 part(int64_t k, int64_t count) const { return load_part(data + k, count); }
};

template <F32x16 (*kLoad)(const uint16_t*)>
struct HalfRow {
  const uint16_t* data;
  F32x16 whole(int64_t k) const { return kLoad(data + k); }
  F32x16 part(int64_t k, int64_t count) const {
    uint16_t padded[16] = {};
    std::memcpy(padded, data + k, static_cast<size_t>(count) * sizeof(uint16_t));
    return kLoad(padded);
  }
};

struct CodeRow {
  const int8_t* data;
  F32x16 scale, zero_point;
  F32x16 whole(int64_t k) const { return (load_i8(data + k) - zero_point) * scale; }
  F32x16 part(int64_t k, int64_t count) const {
    int8_t padded[16] = {};
    std::memcpy(padded, data + k, static_cast<size_t>(count));
    return (load_i8(padded) - zero_point) * scale;
  }
};

// A row of a grid: groups are multiples of sixteen, so that sixteen elements share a scale. Codes are
// unpacked one by one: a sentence reads thirty rows of a table, and multiplies them by all matrices.
class GridRow {
 public:
  GridRow(const embed::Table& table, const GridTraits& traits, int64_t row, int64_t width)
      : grid_(table.grid),
        traits_(traits),
        is_fp4_(table.element == embed::Element::kFp4Grid),
        groups_(grid_.group == 0 ? 1 : (width + grid_.group - 1) / grid_.group),
        first_(row * groups_),
        outer_(grid_.outer == nullptr ? 1.0f : grid_.outer[row]) {
    const int64_t bits = 8 / traits.planes;
    codes_ = static_cast<const uint8_t*>(table.data) + row * ((width * bits + 7) / 8);
  }

  F32x16 whole(int64_t k) const { return part(k, 16); }
  F32x16 part(int64_t k, int64_t count) const {
    float levels[16] = {};
    for (int64_t i = 0; i < count; ++i) levels[i] = level(k + i);
    const int64_t index = first_ + (grid_.group == 0 ? 0 : k / grid_.group);
    F32x16 values = load(levels);
    if (grid_.zeros != nullptr) {
      values = values - set1(static_cast<float>(grid_.zeros[index]) * traits_.zero_step);
    }
    return values * set1(scale(index));
  }

 private:
  float level(int64_t k) const {
    if (traits_.planes == 1) return static_cast<float>(static_cast<int8_t>(codes_[k]));
    const float offset = grid_.zeros == nullptr ? traits_.offset : 0.0f;
    if (traits_.planes == 4) return static_cast<float>(codes_[k / 4] >> 2 * (k % 4) & 3) - offset;
    const int32_t code = codes_[k / 2] >> 4 * (k % 2) & 15;
    return static_cast<float>(is_fp4_ ? kFp4Levels[code] : code) - offset;
  }

  // In the same multiplications as a panel's: decode_scales reads sixteen, so from a copy.
  float scale(int64_t index) const {
    const int64_t bytes = grid_.scale_type == Scale::kF32 ? 4 : grid_.scale_type == Scale::kF16 ? 2 : 1;
    alignas(64) char stored[64] = {};
    std::memcpy(stored, static_cast<const char*>(grid_.scales) + index * bytes, static_cast<size_t>(bytes));
    Grid one = grid_;
    one.scales = stored;
    F32x16 decoded = decode_scales(one, 0);
    if (grid_.outer != nullptr) decoded = decoded * set1(outer_);
    float lanes[16];
    store(lanes, decoded * set1(traits_.unit));
    return lanes[0];
  }

  const Grid grid_;
  const GridTraits traits_;
  const bool is_fp4_;
  const int64_t groups_, first_;
  const float outer_;
  const uint8_t* codes_;
};

template <bool kAdd, typename Source>
inline void put_row(const Source& source, int64_t width, float* out) {
  int64_t k = 0;
  for (; k + 16 <= width; k += 16) {
    const F32x16 value = source.whole(k);
    store(out + k, kAdd ? load(out + k) + value : value);
  }
  if (k == width) return;
  const F32x16 value = source.part(k, width - k);
  store_part(out + k, kAdd ? load_part(out + k, width - k) + value : value, width - k);
}

template <bool kAdd>
inline void put_table_row(const embed::Table& table, int64_t row, int64_t width, float* out) {
  switch (table.element) {
    case embed::Element::kF32:
      return put_row<kAdd>(FloatRow{static_cast<const float*>(table.data) + row * width}, width, out);
    case embed::Element::kF16:
      return put_row<kAdd>(HalfRow<load_f16>{static_cast<const uint16_t*>(table.data) + row * width}, width,
                           out);
    case embed::Element::kBf16:
      return put_row<kAdd>(HalfRow<load_bf16>{static_cast<const uint16_t*>(table.data) + row * width}, width,
                           out);
    case embed::Element::kI8: {
      const F32x16 zero_point = set1(table.zero != nullptr ? table.zero[row] : 0.0f);
      const int8_t* data = static_cast<const int8_t*>(table.data) + row * width;
      return put_row<kAdd>(CodeRow{data, set1(table.scale[row]), zero_point}, width, out);
    }
    case embed::Element::kI8Grid:
      return put_row<kAdd>(GridRow(table, kI8Traits, row, width), width, out);
    case embed::Element::kI4Grid:
      return put_row<kAdd>(GridRow(table, kI4Traits, row, width), width, out);
    case embed::Element::kI2Grid:
      return put_row<kAdd>(GridRow(table, kI2Traits, row, width), width, out);
    case embed::Element::kFp4Grid:
      return put_row<kAdd>(GridRow(table, kFp4Traits, row, width), width, out);
  }
}

inline void embed_tokens(const embed::Params& p) {
  for (int64_t t = p.begin; t < p.end; ++t) {
    float* out = p.out + t * p.out_stride;
    put_table_row<false>(p.word, p.token[t], p.width, out);
    if (p.position.data != nullptr) put_table_row<true>(p.position, p.position_id[t], p.width, out);
    if (p.type.data == nullptr) continue;
    put_table_row<true>(p.type, p.type_id != nullptr ? p.type_id[t] : 0, p.width, out);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
