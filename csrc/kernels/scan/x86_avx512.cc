// INT8 rows as in x86_avx2.cc, with 32 codes per vector; the tail of a row is a masked load.

#include <immintrin.h>

#include "kernels/scan/row_access.h"
#include "kernels/scan/scan.h"

namespace arrowmind::scan {
namespace {

using namespace arrowmind::scan::ARROWMIND_ISA;

constexpr int64_t kStep = 32;  // int8 codes per vector

__m256i load_codes(const uint8_t* codes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
}

__m512i multiply_add(__m512i acc, __m256i codes, const int16_t* query) {
  return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_cvtepi8_epi16(codes), _mm512_loadu_si512(query)));
}

// Masked extracts, because GCC 12 warns about the plain ones in its own header.
__m256i halve(__m512i x) {
  return _mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xff, x, 0),
                          _mm512_maskz_extracti64x4_epi64(0xff, x, 1));
}

int32_t sum(__m512i x) {
  const __m256i half = halve(x);
  __m128i quad = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  quad = _mm_hadd_epi32(quad, quad);
  return _mm_cvtsi128_si32(_mm_hadd_epi32(quad, quad));
}

int32_t dot(const uint8_t* row, int64_t dim, const int16_t* query, const Prefetcher& prefetcher) {
  __m512i acc[2] = {};
  int64_t k = 0;
  for (; k + kCacheLine <= dim; k += kCacheLine) {
    prefetcher.line(row + k);
    for (int j = 0; j < 2; ++j) {
      acc[j] = multiply_add(acc[j], load_codes(row + k + j * kStep), query + k + j * kStep);
    }
  }
  for (; k < dim; k += kStep) {
    const int64_t rest = dim - k;
    const __mmask32 mask = rest >= kStep ? ~__mmask32{0} : (__mmask32{1} << rest) - 1;
    acc[0] = multiply_add(acc[0], _mm256_maskz_loadu_epi8(mask, row + k), query + k);
  }
  return sum(_mm512_add_epi32(acc[0], acc[1]));
}

}  // namespace

void scan_i8_avx512(const Params& p) {
  const int16_t* query = static_cast<const int16_t*>(p.query);
  const Prefetcher prefetcher(p);
  for (int64_t i = 0; i < p.count; ++i) {
    prefetcher.before_row(i);
    p.out[i] = dot(row_at(p, i), p.row_bytes, query, prefetcher);
  }
}

}  // namespace arrowmind::scan
