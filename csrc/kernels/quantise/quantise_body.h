#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/quantise/quantise.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// The values x' of one row: x, or x times the multiplier of each column.
template <bool kScaled>
struct RowValues {
  const float* x;
  const float* multiplier;
  int64_t width;

  F32x16 operator()(int64_t k) const {
    if constexpr (kScaled) return load(x + k) * load(multiplier + k);
    return load(x + k);
  }
  // The last width - k values, then zeros.
  F32x16 tail(int64_t k) const {
    if constexpr (kScaled) return load_part(x + k, width - k) * load_part(multiplier + k, width - k);
    return load_part(x + k, width - k);
  }
};

struct Range {
  float magnitude;  // largest |x'|, or a NaN or infinity if the row has one
  float low, high;  // smallest and largest x', and zero
};

// Magnitudes are compared as integers, so that a NaN wins; low and high are meaningless then.
template <class Values>
inline Range range_of(const Values& values) {
  F32x16 magnitude = zero(), low = zero(), high = zero();
  const auto widen = [&](F32x16 v) {
    magnitude = max_magnitude(magnitude, v);
    low = min(low, v);
    high = max(high, v);
  };
  int64_t k = 0;
  for (; k + 16 <= values.width; k += 16) widen(values(k));
  if (k < values.width) widen(values.tail(k));
  return {reduce_max_magnitude(magnitude), -reduce_max(zero() - low), reduce_max(high)};
}

template <class Values>
inline float magnitude_of(const Values& values) {
  F32x16 even = zero(), odd = zero();
  int64_t k = 0;
  for (; k + 32 <= values.width; k += 32) {
    even = max_magnitude(even, values(k));
    odd = max_magnitude(odd, values(k + 16));
  }
  for (; k < values.width; k += 16) even = max_magnitude(even, values.tail(k));
  return reduce_max_magnitude(max_magnitude(even, odd));
}

// Stores encode(x') of one row, and zeros up to a multiple of 4; returns the sum of the codes.
template <typename CodeType, class Values, class Encode>
inline int32_t store_row(const Values& values, const Encode& encode, CodeType* codes) {
  CodeSum total = zero_codes();
  int64_t k = 0;
  for (; k + 16 <= values.width; k += 16) total = store_codes(codes + k, encode(values(k)), total);
  if (k < values.width) {
    const int64_t rest = values.width - k;
    CodeType tail[16];
    total = store_codes(tail, select_first(encode(values.tail(k)), zero(), rest), total);
    std::memcpy(codes + k, tail, static_cast<size_t>((rest + 3) / 4 * 4) * sizeof(CodeType));
  }
  return sum(total);
}

// Where the codes of a row go.
template <typename CodeType>
inline CodeType* row_of(const quantise::Output& out, int64_t row) {
  return static_cast<CodeType*>(out.codes) + row * out.stride;
}

// A row that holds nothing (scale 0) or that is damaged (scale NaN).
template <typename CodeType>
inline void store_nothing(const quantise::Output& out, int64_t row, int64_t width, float scale) {
  std::memset(row_of<CodeType>(out, row), 0, static_cast<size_t>((width + 3) / 4 * 4) * sizeof(CodeType));
  out.scale[row] = scale;
  if (out.sum != nullptr) out.sum[row] = 0;
  if (out.zero != nullptr) out.zero[row] = 0;
}

template <class Values>
inline void quantise_row(const Values& values, const quantise::Output& out, int64_t row, int16_t /*code*/) {
  const float magnitude = magnitude_of(values);
  const bool finite = magnitude <= std::numeric_limits<float>::max();
  if (!finite || magnitude < quantise::kSmallest) {
    const float scale = finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    return store_nothing<int16_t>(out, row, values.width, scale);
  }
  const float limit = static_cast<float>(out.limit);
  const F32x16 factor = set1(limit / magnitude);
  const int32_t sum = store_row(values, [&](F32x16 v) { return v * factor; }, row_of<int16_t>(out, row));
  out.scale[row] = magnitude / limit;
  if (out.sum != nullptr) out.sum[row] = sum;
  if (out.zero != nullptr) out.zero[row] = 0;
}

template <class Values>
inline void quantise_row(const Values& values, const quantise::Output& out, int64_t row, int8_t /*code*/) {
  const Range range = range_of(values);
  const float span = range.high - range.low;
  const bool finite =
      range.magnitude <= std::numeric_limits<float>::max() && span <= std::numeric_limits<float>::max();
  if (!finite || range.magnitude < quantise::kSmallest) {
    const float scale = finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    return store_nothing<int8_t>(out, row, values.width, scale);
  }
  const float inverse = 255.0f / span;
  const float code_of_zero = std::nearbyint(-128.0f - range.low * inverse);
  const F32x16 factor = set1(inverse), shift = set1(code_of_zero);
  const F32x16 least = set1(-128.0f), most = set1(127.0f);
  const auto encode = [&](F32x16 v) { return min(max(fma(v, factor, shift), least), most); };
  const int32_t sum = store_row(values, encode, row_of<int8_t>(out, row));
  const int32_t zero_code = static_cast<int32_t>(code_of_zero);
  out.scale[row] = span / 255.0f;
  out.zero[row] = zero_code;
  if (out.sum != nullptr) out.sum[row] = sum - static_cast<int32_t>(values.width) * zero_code;
}

// One block of a row: `count` of its values, and zeros up to the block's end.
template <class Values>
class RowBlock {
 public:
  RowBlock(const Values& values, int64_t begin) : values_(values), begin_(begin) {}

  // Sixteen values from `k` of the block on.
  F32x16 operator()(int64_t k) const {
    k += begin_;
    if (k + 16 <= values_.width) return values_(k);
    return k < values_.width ? values_.tail(k) : zero();
  }

 private:
  const Values& values_;
  const int64_t begin_;
};

// Stores factor * values of a block and its parts' sums.
template <class Values>
inline void store_block(const RowBlock<Values>& values, float factor, const quantise::Output& out,
                        int8_t* codes, int64_t first_part) {
  const F32x16 factors = set1(factor);
  for (int64_t k = 0, part = first_part; k < out.block; ++part) {
    CodeSum total = zero_codes();
    for (const int64_t end = k + out.part; k < end; k += 16) {
      total = store_codes(codes + k, values(k) * factors, total);
    }
    out.sum[part] = sum(total);
  }
}

template <class Values>
inline void quantise_blocks(const Values& values, const quantise::Output& out, int64_t row) {
  const int64_t blocks = (values.width + out.block - 1) / out.block;
  const int64_t parts = out.block / out.part;
  for (int64_t block = 0; block < blocks; ++block) {
    const RowBlock<Values> part(values, block * out.block);
    F32x16 magnitudes = zero();
    for (int64_t k = 0; k < out.block; k += 16) magnitudes = max_magnitude(magnitudes, part(k));
    const float magnitude = reduce_max_magnitude(magnitudes);
    const bool finite = magnitude <= std::numeric_limits<float>::max();
    int8_t* codes = row_of<int8_t>(out, row) + block * out.block;
    const int64_t at = row * blocks + block;
    if (!finite || magnitude < quantise::kSmallest) {
      out.scale[at] = finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
      std::memset(codes, 0, static_cast<size_t>(out.block));
      for (int64_t i = at * parts; i < (at + 1) * parts; ++i) out.sum[i] = 0;
      continue;
    }
    out.scale[at] = magnitude / 127.0f;
    store_block(part, 127.0f / magnitude, out, codes, at * parts);
  }
}

inline void quantise_row_blocks(const quantise::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    const float* x = p.x + row * p.x_stride;
    if (p.multiplier == nullptr) {
      quantise_blocks(RowValues<false>{x, nullptr, p.width}, p.out, row);
    } else {
      quantise_blocks(RowValues<true>{x, p.multiplier, p.width}, p.out, row);
    }
  }
}

template <typename CodeType>
inline void quantise_rows(const quantise::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    const float* x = p.x + row * p.x_stride;
    if (p.multiplier == nullptr) {
      quantise_row(RowValues<false>{x, nullptr, p.width}, p.out, row, CodeType{});
    } else {
      quantise_row(RowValues<true>{x, p.multiplier, p.width}, p.out, row, CodeType{});
    }
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
