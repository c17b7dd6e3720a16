#include <immintrin.h>

#include <cstdint>

namespace arrowmind::ARROWMIND_ISA {

struct V {
  using Words = uint32_t __attribute__((vector_size(64)));

  // Quarter i of the result: 16 bytes of lane j + 4 i.
  static __m512i load(const uint8_t* const* data, int64_t offset, int j) {
    const auto quarter = [&](int lane) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data[lane] + offset));
    };
    __m512i all = _mm512_castsi128_si512(quarter(j));
    all = _mm512_inserti32x4(all, quarter(j + 4), 1);
    all = _mm512_inserti32x4(all, quarter(j + 8), 2);
    return _mm512_inserti32x4(all, quarter(j + 12), 3);
  }

  // w[t]: big-endian word t of the 16 bytes at `offset` of each lane.
  static void load_transposed(const uint8_t* const* data, int64_t offset, Words* w) {
    const __m512i swap =
        _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    const __m512i a = load(data, offset, 0), b = load(data, offset, 1);
    const __m512i c = load(data, offset, 2), d = load(data, offset, 3);
    const __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
    const __m512i ab_high = _mm512_unpackhi_epi32(a, b), cd_high = _mm512_unpackhi_epi32(c, d);
    w[0] = (Words)_mm512_shuffle_epi8(_mm512_unpacklo_epi64(ab, cd), swap);
    w[1] = (Words)_mm512_shuffle_epi8(_mm512_unpackhi_epi64(ab, cd), swap);
    w[2] = (Words)_mm512_shuffle_epi8(_mm512_unpacklo_epi64(ab_high, cd_high), swap);
    w[3] = (Words)_mm512_shuffle_epi8(_mm512_unpackhi_epi64(ab_high, cd_high), swap);
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

#include "base/sha256_lanes.h"

namespace arrowmind {

void sha256_lanes_avx512(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  ARROWMIND_ISA::hash_lanes(state, data, blocks);
}

}  // namespace arrowmind
