// One-bit rows: xor and popcnt on 64-bit words; six words of a 384-bit row take six cycles, which memory
// cannot feed faster. INT8 rows: vpmovsxbw, vpmaddwd with the 16-bit query, four sums so that adds do not
// wait for each other. Four rows at once would save query loads but no longer read memory in order: 25 %
// slower.

#include <immintrin.h>

#include <cstring>

#include "kernels/scan/row_access.h"
#include "kernels/scan/scan.h"

namespace arrowmind::scan {
namespace {

using namespace arrowmind::scan::ARROWMIND_ISA;

constexpr int64_t kStep = 16;  // int8 codes per vector

uint64_t popcount(uint64_t word) {
  return static_cast<uint64_t>(_mm_popcnt_u64(word));
}

uint64_t load_word(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

uint64_t load_tail(const uint8_t* bytes, int64_t count) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, static_cast<size_t>(count));
  return word;
}

// Rows of a length fixed at compile time: the query stays in registers, the loop over words is unrolled.
template <int Words>
void scan_bits_fixed(const Params& p) {
  uint64_t query[Words];
  std::memcpy(query, p.query, sizeof(query));
  const Prefetcher prefetcher(p);
  for (int64_t i = 0; i < p.count; ++i) {
    prefetcher.before_row(i);
    const uint8_t* row = row_at(p, i);
    for (int64_t k = 0; k < p.row_bytes; k += kCacheLine) prefetcher.line(row + k);
    uint64_t distance = 0;
    for (int w = 0; w < Words; ++w) distance += popcount(load_word(row + w * 8) ^ query[w]);
    p.out[i] = static_cast<int32_t>(distance);
  }
}

void scan_bits(const Params& p) {
  const uint8_t* query = static_cast<const uint8_t*>(p.query);
  const int64_t words = p.row_bytes / 8;
  const int64_t tail = p.row_bytes % 8;
  for (int64_t i = 0; i < p.count; ++i) {
    const uint8_t* row = row_at(p, i);
    uint64_t distance = popcount(load_tail(row + words * 8, tail) ^ load_tail(query + words * 8, tail));
    for (int64_t w = 0; w < words; ++w) {
      distance += popcount(load_word(row + w * 8) ^ load_word(query + w * 8));
    }
    p.out[i] = static_cast<int32_t>(distance);
  }
}

__m256i multiply_add(__m256i acc, const uint8_t* codes, const int16_t* query) {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(wide, q));
}

// The rest of a row, shorter than a cache line, without reading past its end; the query is padded with zeros.
__m256i multiply_add_tail(__m256i acc, const uint8_t* codes, int64_t count, const int16_t* query) {
  for (; count >= kStep; count -= kStep, codes += kStep, query += kStep) {
    acc = multiply_add(acc, codes, query);
  }
  if (count == 0) return acc;
  alignas(16) uint8_t rest[kStep] = {};
  std::memcpy(rest, codes, static_cast<size_t>(count));
  return multiply_add(acc, rest, query);
}

int32_t sum(__m256i x) {
  __m128i quad = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  quad = _mm_hadd_epi32(quad, quad);
  return _mm_cvtsi128_si32(_mm_hadd_epi32(quad, quad));
}

int32_t dot(const uint8_t* row, int64_t dim, const int16_t* query, const Prefetcher& prefetcher) {
  __m256i acc[4] = {};
  int64_t k = 0;
  for (; k + kCacheLine <= dim; k += kCacheLine) {
    prefetcher.line(row + k);
    for (int j = 0; j < 4; ++j) {
      acc[j] = multiply_add(acc[j], row + k + j * kStep, query + k + j * kStep);
    }
  }
  acc[0] = multiply_add_tail(acc[0], row + k, dim - k, query + k);
  return sum(_mm256_add_epi32(_mm256_add_epi32(acc[0], acc[1]), _mm256_add_epi32(acc[2], acc[3])));
}

}  // namespace

void scan_bits_avx2(const Params& p) {
  switch (p.row_bytes) {
    case 48:
      return scan_bits_fixed<6>(p);  // 384 dimensions
    case 64:
      return scan_bits_fixed<8>(p);  // 512
    case 96:
      return scan_bits_fixed<12>(p);  // 768
    case 128:
      return scan_bits_fixed<16>(p);  // 1024
    default:
      return scan_bits(p);
  }
}

void scan_i8_avx2(const Params& p) {
  const int16_t* query = static_cast<const int16_t*>(p.query);
  const Prefetcher prefetcher(p);
  for (int64_t i = 0; i < p.count; ++i) {
    prefetcher.before_row(i);
    p.out[i] = dot(row_at(p, i), p.row_bytes, query, prefetcher);
  }
}

}  // namespace arrowmind::scan
