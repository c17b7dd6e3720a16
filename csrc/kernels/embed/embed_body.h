#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cstring>

#include "kernels/embed/embed.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Sixteen elements of a table row, from element k on; a part of them at the end of the row.
struct FloatRow {
  const float* data;
  F32x16 whole(int64_t k) const { return load(data + k); }
  F32x16 part(int64_t k, int64_t count) const { return load_part(data + k, count); }
};

struct HalfRow {
  const uint16_t* data;
  F32x16 whole(int64_t k) const { return load_f16(data + k); }
  F32x16 part(int64_t k, int64_t count) const {
    uint16_t padded[16] = {};
    std::memcpy(padded, data + k, static_cast<size_t>(count) * sizeof(uint16_t));
    return load_f16(padded);
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
      return put_row<kAdd>(HalfRow{static_cast<const uint16_t*>(table.data) + row * width}, width, out);
    case embed::Element::kI8: {
      const F32x16 zero_point = set1(table.zero != nullptr ? table.zero[row] : 0.0f);
      const int8_t* data = static_cast<const int8_t*>(table.data) + row * width;
      return put_row<kAdd>(CodeRow{data, set1(table.scale[row]), zero_point}, width, out);
    }
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
