// Keys and values of new rows to their pages, pages made small, and attention over pages (cached_attention.h
// has the layouts).
#include "kernels/attention/gpu_tile.h"
#include "kernels/cached_attention/gpu_pages.h"
#include "kernels/cached_attention/gpu_shrink.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = kAttendThreads, kWarps = kAttendWarps, kMostDim = 1024;

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

// A row as it is compared and stored.
ARROWMIND_DEVICE void read_row(const float* from, const float* signs, uint32_t size, bool turned, float* to) {
  barrier();
  for (uint32_t d = thread(); d < size; d += kThreads) to[d] = turned ? from[d] * signs[d] : from[d];
  barrier();
  if (turned) hadamard(to, size);
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
  const uint32_t row = group_y(), head = group_z(), format = p.full.format;
  const auto sequence = static_cast<uint32_t>(sequence_of[row]), place = static_cast<uint32_t>(place_of[row]);
  const uint32_t slot = place % p.page_tokens;
  uint32_t* part =
      part_of(pages, table[sequence * uint64_t{p.table_stride} + place / p.page_tokens], p.full, head);
  const uint32_t each = format == kPageF32 ? 1 : format == kPageF16 ? 2 : 4, bits = 32 / each;
  const uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1;
  const float* key = qkv + row * uint64_t{p.in_stride} + (p.heads + head) * p.head_dim;
  float inverse = 1.0f;

  read_row(key, signs, p.head_dim, p.turned != 0, row_values);
  if (format == kPageI8) {
    inverse = store_step(row_values, p.head_dim, part, p.full.key_scales + 2 * slot, scratch);
  }
  // Words of keys belong to tokens beside each other, which other groups write.
  const uint32_t width = padded_width(p.head_dim);
  for (uint32_t d = thread(); d < width; d += kThreads) {
    const uint32_t at = key_at(slot, d, p.head_dim), shift = at % each * bits;
    const uint32_t stored = d < p.head_dim ? stored_bits(row_values[d], format, inverse) : 0;
    put_bits(part + at / each, mask << shift, stored << shift);
  }

  read_row(key + p.key_heads * p.head_dim, signs, p.head_dim, p.turned != 0, row_values);
  if (format == kPageI8) {
    inverse = store_step(row_values, p.head_dim, part, p.full.value_scales + 2 * slot, scratch);
  }
  for (uint32_t d = thread() * each; d < width; d += kThreads * each) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < each && d + i < p.head_dim; ++i) {
      word |= stored_bits(row_values[d + i], format, inverse) << i * bits;
    }
    part[p.full.values / 4 + value_at(slot, d, p.page_tokens) / each] = word;
  }
}

// A group serves 16 tokens of a head of a page.
ARROWMIND_KERNEL(kShrinkThreads, cache_shrink, const uint32_t* list, const uint32_t* pages, uint32_t* small,
                 CacheShrinkParameters p) {
  ARROWMIND_SHARED(float, errors, kShareCount * 16);
  ARROWMIND_SHARED(uint32_t, bits, kShareCount * 16);
  ARROWMIND_SHARED(uint32_t, best, 16);
  const uint32_t slot = group_x() * 16, page = group_y(), head = group_z();
  const uint32_t* from = part_of(pages, list[2 * page], p.full, head);
  uint32_t* to = part_of(small, list[2 * page + 1], p.small, head);
  const ShrinkMemory memory = {errors, bits, best};
  with_small_page(p.small.format,
                  [&](auto format) { shrink_panel<decltype(format)>(from, to, slot, p, memory); });
}

namespace {

// What a row sees of its sequence; `query` is the row's, scaled.
struct CachedKeys {
  const CachedAttentionParameters& p;
  const uint32_t *pages, *small;
  const uint32_t* table;  // of the sequence
  uint32_t head, end;
  const float* query;

  // A page: where its part of the head is, and how it is read.
  struct Part {
    const uint32_t* words;
    uint32_t format, values, key_scales, value_scales;
  };
  ARROWMIND_DEVICE bool is_small(uint32_t page, uint32_t word) const {
    if (p.small_table == 0 || page < p.first_small) return false;
    return word == kNoPage || (end > p.recent && (page + 1) * p.page_tokens <= end - p.recent);
  }
  ARROWMIND_DEVICE Part part(uint32_t page) const {
    const uint32_t word = table[page];
    if (!is_small(page, word)) {
      return {part_of(pages, word, p.full, head), p.full.format, p.full.values, p.full.key_scales,
              p.full.value_scales};
    }
    return {part_of(small, table[p.small_table + page], p.small, head), p.small.format, p.small.values,
            p.small.key_scales, p.small.value_scales};
  }

  ARROWMIND_DEVICE float score(uint32_t place) const {
    const Part own = part(place / p.page_tokens);
    const uint32_t slot = place % p.page_tokens;
    float sum = 0.0f;
    with_page(own.format, [&](auto format) {
      using Page = decltype(format);
      const uint32_t first = slot / 16 * padded_width(p.head_dim), lane = slot % 16;
      for (uint32_t d = 0; d < p.head_dim; ++d)
        sum = fused(query[d], Page::Keys::at(own.words, first + d, lane), sum);
      if constexpr (Page::kScaled) sum = sum * step_at(own.words, own.key_scales + 2 * slot);
    });
    return capped(sum);
  }
  ARROWMIND_DEVICE float capped(float sum) const {
    return p.cap > 0.0f ? soft_cap(sum, p.cap * kLog2E) : sum;
  }
  // Page by page.
  ARROWMIND_DEVICE float mix(const float* weights, uint32_t first, uint32_t count, uint32_t d,
                             float sum) const {
    for (uint32_t i = 0; i < count;) {
      const uint32_t slot = (first + i) % p.page_tokens, tokens = least(p.page_tokens - slot, count - i);
      const Part own = part((first + i) / p.page_tokens);
      with_page(own.format, [&](auto format) {
        using Page = decltype(format);
        const uint32_t piece = d / 16 * p.page_tokens + slot;
        for (uint32_t j = 0; j < tokens; ++j) {
          const float value = Page::Values::at(own.words + own.values / 4, piece + j, d % 16);
          sum = fused(weights[i + j], value, sum);
        }
      });
      i += tokens;
    }
    return sum;
  }
  ARROWMIND_DEVICE bool has_steps() const { return p.small_table > 0 || p.full.format == kPageI8; }
  ARROWMIND_DEVICE float step(uint32_t place) const {
    const Part own = part(place / p.page_tokens);
    float step = 1.0f;
    with_page(own.format, [&](auto format) {
      if constexpr (decltype(format)::kScaled)
        step = step_at(own.words, own.value_scales + 2 * (place % p.page_tokens));
    });
    return step;
  }

  // For attend_tile(): 16 tokens side by side, and 16 dimensions of a token.
  ARROWMIND_DEVICE void bring_keys(uint32_t begin, uint32_t count, uint32_t stride, float* to,
                                   float* steps) const {
    const uint32_t lane = thread() % 16, width = padded_width(p.head_dim);
    for (uint32_t panel = begin / 16 * 16; panel < begin + count; panel += 16) {
      const uint32_t place = panel + lane, slot = place % p.page_tokens;
      if (place < begin || place >= begin + count) continue;
      const Part own = part(place / p.page_tokens);
      with_page(own.format, [&](auto format) {
        using Page = decltype(format);
        for (uint32_t d = thread() / 16; d < stride; d += kThreads / 16) {
          to[(place - begin) * stride + d] =
              d < p.head_dim ? Page::Keys::at(own.words, slot / 16 * width + d, lane) : 0.0f;
        }
        float step = 1.0f;
        if constexpr (Page::kScaled) step = step_at(own.words, own.key_scales + 2 * slot);
        if (thread() < 16) steps[place - begin] = step;
      });
    }
  }
  ARROWMIND_DEVICE void bring_values(uint32_t begin, uint32_t count, uint32_t stride, float* to,
                                     float* steps) const {
    for (uint32_t i = thread() / 16; i < count; i += kThreads / 16) {
      const uint32_t slot = (begin + i) % p.page_tokens;
      const Part own = part((begin + i) / p.page_tokens);
      with_page(own.format, [&](auto format) {
        using Page = decltype(format);
        for (uint32_t d = thread() % 16; d < p.head_dim; d += 16) {
          to[i * stride + d] =
              Page::Values::at(own.words + own.values / 4, d / 16 * p.page_tokens + slot, d % 16);
        }
        float step = 1.0f;
        if constexpr (Page::kScaled) step = step_at(own.words, own.value_scales + 2 * slot);
        if (thread() % 16 == 0) steps[i] = step;
      });
    }
  }
};

// What the kernels below are given.
struct CachedRows {
  const float* qkv;
  const uint32_t* table;
  const int32_t* sequence_of;
  const int32_t* place_of;
  const float* signs;
  const uint32_t *pages, *small;
  float* out;
  const CachedAttentionParameters& p;

  ARROWMIND_DEVICE uint32_t end(uint32_t row) const { return static_cast<uint32_t>(place_of[row]) + 1; }
  ARROWMIND_DEVICE const float* query(uint32_t row) const {
    return qkv + row * uint64_t{p.in_stride} + group_z() * p.head_dim;
  }
  ARROWMIND_DEVICE CachedKeys keys(uint32_t row, const float* query) const {
    const uint32_t* own = table + static_cast<uint32_t>(sequence_of[row]) * uint64_t{p.table_stride};
    return {p, pages, small, own, group_z() / (p.heads / p.key_heads), end(row), query};
  }
  // Pages that a row whose keys end there reads from the small ones, but for the first, and those that are
  // gone.
  ARROWMIND_DEVICE uint32_t small_pages(uint32_t end) const {
    return p.small_table > 0 && end > p.recent ? (end - p.recent) / p.page_tokens : 0;
  }
  // Whether a row is of the same tile as the one before it.
  ARROWMIND_DEVICE bool continues(uint32_t row, uint32_t most_rows) const {
    return row > 0 && sequence_of[row] == sequence_of[row - 1] && end(row) == end(row - 1) + 1 &&
           end(row) % most_rows != 0 && small_pages(end(row)) == small_pages(end(row) - 1);
  }
  ARROWMIND_DEVICE void bring_query(uint32_t row, float* to) const {
    const float scale = p.scale * kLog2E;
    read_row(query(row), signs, p.head_dim, p.turned != 0, to);
    barrier();
    for (uint32_t d = thread(); d < p.head_dim; d += kThreads) to[d] = to[d] * scale;
  }
  ARROWMIND_DEVICE void store(uint32_t row, float* sums) const {
    barrier();
    if (p.turned != 0) hadamard(sums, p.head_dim);
    float* to = out + row * uint64_t{p.out_stride} + group_z() * p.head_dim;
    for (uint32_t d = thread(); d < p.head_dim; d += kThreads)
      to[d] = p.turned != 0 ? sums[d] * signs[d] : sums[d];
  }
  ARROWMIND_DEVICE TileRows seen(uint32_t row, uint32_t count) const {
    return {count, end(row), 1, p.window};
  }
  ARROWMIND_DEVICE void attend_one(uint32_t row, float* query, float* sums,
                                   const AttendMemory& memory) const {
    bring_query(row, query);
    barrier();
    const TileRows rows = seen(row, 1);
    attend(keys(row, query), rows.first(0), rows.end(0), p.head_dim, memory, sums);
    store(row, sums);
  }
  ARROWMIND_DEVICE void attend_some(uint32_t row, uint32_t count, const TileMemory& memory) const {
    const uint32_t padded = ceil_of(p.head_dim, 4) * 4;
    for (uint32_t i = 0; i < count; ++i) {
      bring_query(row + i, memory.queries + i * padded);
      if (p.head_dim + thread() < padded) memory.queries[i * padded + p.head_dim + thread()] = 0.0f;
    }
    attend_tile(keys(row, nullptr), seen(row, count), p.head_dim, memory);
    for (uint32_t i = 0; i < count; ++i) store(row + i, memory.sums + i * padded);
  }
};

}  // namespace

// A group serves a head of a row.
ARROWMIND_KERNEL(kThreads, cached_attention, const float* qkv, const uint32_t* table,
                 const int32_t* sequence_of, const int32_t* place_of, const float* signs,
                 const uint32_t* pages, const uint32_t* small, float* out, CachedAttentionParameters p) {
  ARROWMIND_SHARED(float, query, kMostDim);
  ARROWMIND_SHARED(float, sums, kMostDim);
  ARROWMIND_SHARED(float, weights, kKeysHeld);
  ARROWMIND_SHARED(float, scratch, kWarps);
  const CachedRows rows = {qkv, table, sequence_of, place_of, signs, pages, small, out, p};
  rows.attend_one(group_y(), query, sums, {weights, scratch});
}

// The same where sequences have several rows. The group of a tile's first row serves all of it.
ARROWMIND_KERNEL(kThreads, cached_attention_rows, const float* qkv, const uint32_t* table,
                 const int32_t* sequence_of, const int32_t* place_of, const float* signs,
                 const uint32_t* pages, const uint32_t* small, float* out, CachedAttentionParameters p) {
  ARROWMIND_TILE_MEMORY(memory);
  const CachedRows rows = {qkv, table, sequence_of, place_of, signs, pages, small, out, p};
  const uint32_t row = group_y(), most_rows = tile_rows(p.head_dim);
  if (rows.continues(row, most_rows)) return;
  uint32_t count = 1;
  while (count < most_rows && row + count < p.rows && rows.continues(row + count, most_rows)) ++count;
  if (count > 1) return rows.attend_some(row, count, memory);
  rows.attend_one(row, memory.queries, memory.sums, {memory.weights, memory.largest});
}
