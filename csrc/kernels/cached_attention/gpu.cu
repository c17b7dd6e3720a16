// Keys and values of new rows to their pages, and attention over pages (cached_attention.h has the layouts).
#include "kernels/attention/gpu_attend.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = kAttendThreads, kWarps = kAttendWarps, kMostDim = 1024;

// A head of keys of a token: the page's part of it, and its slot in the page.
template <class Parameters>
struct Token {
  uint32_t* part;
  uint32_t slot;
  const Parameters& p;

  ARROWMIND_DEVICE Token(uint32_t* pages, const uint32_t* table, const Parameters& own, uint32_t sequence,
                         uint32_t place, uint32_t head)
      : part(pages + uint64_t{table[sequence * uint64_t{own.table_stride} + place / own.page_tokens]} +
             (own.first_byte + head * own.head_bytes) / 4),
        slot(place % own.page_tokens),
        p(own) {}

  // Numbers of elements, from the first key or value of the part on.
  ARROWMIND_DEVICE uint32_t key(uint32_t d) const {
    return slot / 16 * ((p.head_dim + 15) / 16 * 16) * 16 + d * 16 + slot % 16;
  }
  ARROWMIND_DEVICE uint32_t value(uint32_t d) const {
    return d / 16 * p.page_tokens * 16 + slot * 16 + d % 16;
  }
};

ARROWMIND_DEVICE float element(const uint32_t* words, uint32_t format, uint32_t at) {
  if (format == kPageF32) return float_of(words[at]);
  if (format == kPageF16) return half_float(words[at / 2] >> 16 * (at & 1) & 0xffff);
  return static_cast<float>(static_cast<int8_t>(words[at / 4] >> 8 * (at & 3) & 0xff));
}

ARROWMIND_DEVICE float step_at(const uint32_t* part, uint32_t byte) {
  return half_float(part[byte / 4] >> 8 * (byte & 2) & 0xffff);
}

// Hadamard's matrix times each block of x, the largest power of two that divides the size. For all threads.
ARROWMIND_DEVICE void hadamard(float* x, uint32_t size) {
  const uint32_t block = size & (0u - size);
  for (uint32_t half = 1; half < block; half *= 2) {
    barrier();
    for (uint32_t pair = thread(); pair < size / 2; pair += kThreads) {
      const uint32_t i = pair / half * 2 * half + pair % half;
      const float a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
  }
  barrier();
}

// A row as it is compared and stored: turned, where there are codes.
ARROWMIND_DEVICE void read_row(const float* from, const float* signs, uint32_t size, uint32_t format,
                               float* to) {
  barrier();
  for (uint32_t d = thread(); d < size; d += kThreads)
    to[d] = format == kPageI8 ? from[d] * signs[d] : from[d];
  barrier();
  if (format == kPageI8) hadamard(to, size);
}

// Binary16 to the nearest, ties to even; what is beyond becomes the largest, a NaN stays one.
ARROWMIND_DEVICE uint32_t half_bits(float x) {
  const uint32_t bits = bits_of(x) & 0x7fffffffu, sign = bits_of(x) >> 16 & 0x8000u;
  if (bits > 0x7f800000u) return sign | 0x7e00u | (bits >> 13 & 0x1ffu);
  if (bits >= 0x477fe000u) return sign | 0x7bffu;  // 65504 and above
  if (bits < 0x38800000u) return sign | (bits_of(float_of(bits) + 0.5f) - 0x3f000000u);
  return sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13;
}

struct MostBits {
  ARROWMIND_DEVICE uint32_t operator()(uint32_t a, uint32_t b) const { return a > b ? a : b; }
};

// The step between codes of a row, as binary16 holds it; it is stored. Its inverse; 0 where there is none.
ARROWMIND_DEVICE float store_step(const float* row, uint32_t size, uint32_t* part, uint32_t byte,
                                  uint32_t* scratch) {
  uint32_t largest = 0;  // magnitudes in the order of their bits: a NaN above all
  for (uint32_t d = thread(); d < size; d += kThreads)
    largest = MostBits()(largest, bits_of(row[d]) & 0x7fffffffu);
  largest = fold_group<kWarps>(largest, scratch, MostBits());
  const uint32_t bits = half_bits(float_of(largest) / 127.0f), shift = 8 * (byte & 2);
  if (thread() == 0) put_bits(part + byte / 4, 0xffffu << shift, bits << shift);
  const float step = half_float(bits);
  return step > 0.0f ? 1.0f / step : 0.0f;
}

// An element as it is stored.
ARROWMIND_DEVICE uint32_t stored_bits(float x, uint32_t format, float inverse) {
  if (format == kPageF32) return bits_of(x);
  if (format == kPageF16) return half_bits(x);
  const float scaled = x * inverse;
  if (scaled != scaled) return 0;  // its step is NaN, which is enough
  return static_cast<uint32_t>(static_cast<int32_t>(round_even(least(most(scaled, -127.0f), 127.0f)))) & 0xff;
}

}  // namespace

ARROWMIND_KERNEL(kThreads, cache_write, const float* qkv, const uint32_t* table, const int32_t* sequence_of,
                 const int32_t* place_of, const float* signs, uint32_t* pages, CacheWriteParameters p) {
  ARROWMIND_SHARED(float, row_values, kMostDim);
  ARROWMIND_SHARED(uint32_t, scratch, kWarps);
  const uint32_t row = group_y(), head = group_z();
  const Token token(pages, table, p, static_cast<uint32_t>(sequence_of[row]),
                    static_cast<uint32_t>(place_of[row]), head);
  const uint32_t each = p.format == kPageF32 ? 1 : p.format == kPageF16 ? 2 : 4, bits = 32 / each;
  const uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1;
  const float* key = qkv + row * uint64_t{p.in_stride} + (p.heads + head) * p.head_dim;
  float inverse = 1.0f;

  read_row(key, signs, p.head_dim, p.format, row_values);
  if (p.format == kPageI8) {
    inverse = store_step(row_values, p.head_dim, token.part, p.key_scales + 2 * token.slot, scratch);
  }
  // Words of keys belong to tokens beside each other, which other groups write.
  const uint32_t width = (p.head_dim + 15) / 16 * 16;
  for (uint32_t d = thread(); d < width; d += kThreads) {
    const uint32_t at = token.key(d), shift = at % each * bits;
    const uint32_t stored = d < p.head_dim ? stored_bits(row_values[d], p.format, inverse) : 0;
    put_bits(token.part + at / each, mask << shift, stored << shift);
  }

  read_row(key + p.key_heads * p.head_dim, signs, p.head_dim, p.format, row_values);
  if (p.format == kPageI8) {
    inverse = store_step(row_values, p.head_dim, token.part, p.value_scales + 2 * token.slot, scratch);
  }
  for (uint32_t d = thread() * each; d < width; d += kThreads * each) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < each && d + i < p.head_dim; ++i) {
      word |= stored_bits(row_values[d + i], p.format, inverse) << i * bits;
    }
    token.part[p.values / 4 + token.value(d) / each] = word;
  }
}

namespace {

// Tokens of a sequence; `query` is the row's, scaled.
struct CachedKeys {
  const CachedAttentionParameters& p;
  uint32_t* pages;
  const uint32_t* table;
  uint32_t sequence, head;
  const float* query;

  ARROWMIND_DEVICE Token<CachedAttentionParameters> token(uint32_t place) const {
    return {pages, table, p, sequence, place, head};
  }
  ARROWMIND_DEVICE float score(uint32_t place) const {
    const Token own = token(place);
    float sum = 0.0f;
    for (uint32_t d = 0; d < p.head_dim; ++d)
      sum = fused(query[d], element(own.part, p.format, own.key(d)), sum);
    if (has_steps()) sum = sum * step_at(own.part, p.key_scales + 2 * own.slot);
    return p.cap > 0.0f ? soft_cap(sum, p.cap * kLog2E) : sum;
  }
  ARROWMIND_DEVICE float value(uint32_t place, uint32_t d) const {
    const Token own = token(place);
    return element(own.part + p.values / 4, p.format, own.value(d));
  }
  ARROWMIND_DEVICE bool has_steps() const { return p.format == kPageI8; }
  ARROWMIND_DEVICE float step(uint32_t place) const {
    const Token own = token(place);
    return step_at(own.part, p.value_scales + 2 * own.slot);
  }
};

}  // namespace

// A group serves a head of a row.
ARROWMIND_KERNEL(kThreads, cached_attention, const float* qkv, const uint32_t* table,
                 const int32_t* sequence_of, const int32_t* place_of, const float* signs, uint32_t* pages,
                 float* out, CachedAttentionParameters p) {
  ARROWMIND_SHARED(float, query, kMostDim);
  ARROWMIND_SHARED(float, sums, kMostDim);
  ARROWMIND_SHARED(float, weights, kKeysHeld);
  ARROWMIND_SHARED(float, scratch, kWarps);
  const uint32_t row = group_y(), head = group_z();
  const uint32_t end = static_cast<uint32_t>(place_of[row]) + 1;
  const uint32_t first = p.window > 0 && end > p.window ? end - p.window : 0;
  read_row(qkv + row * uint64_t{p.in_stride} + head * p.head_dim, signs, p.head_dim, p.format, query);
  const float scale = p.scale * kLog2E;
  barrier();
  for (uint32_t d = thread(); d < p.head_dim; d += kThreads) query[d] = query[d] * scale;
  barrier();
  const CachedKeys keys = {
      p, pages, table, static_cast<uint32_t>(sequence_of[row]), head / (p.heads / p.key_heads), query};
  attend(keys, first, end, p.head_dim, {weights, scratch}, sums);
  barrier();
  if (p.format == kPageI8) hadamard(sums, p.head_dim);
  for (uint32_t d = thread(); d < p.head_dim; d += kThreads) {
    out[row * uint64_t{p.out_stride} + head * p.head_dim + d] =
        p.format == kPageI8 ? sums[d] * signs[d] : sums[d];
  }
}
