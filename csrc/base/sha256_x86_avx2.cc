#include <immintrin.h>

#include <cstdint>

namespace arrowmind::ARROWMIND_ISA {

struct V {
  using Words = uint32_t __attribute__((vector_size(32)));

  // Half i of the result: 16 bytes of lane j + 4 i.
  static __m256i load(const uint8_t* const* data, int64_t offset, int j) {
    const auto half = [&](int lane) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data[lane] + offset));
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(half(j)), half(j + 4), 1);
  }

  // w[t]: big-endian word t of the 16 bytes at `offset` of each lane.
  static void load_transposed(const uint8_t* const* data, int64_t offset, Words* w) {
    const __m256i swap =
        _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    const __m256i a = load(data, offset, 0), b = load(data, offset, 1);
    const __m256i c = load(data, offset, 2), d = load(data, offset, 3);
    const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    const __m256i ab_high = _mm256_unpackhi_epi32(a, b), cd_high = _mm256_unpackhi_epi32(c, d);
    w[0] = (Words)_mm256_shuffle_epi8(_mm256_unpacklo_epi64(ab, cd), swap);
    w[1] = (Words)_mm256_shuffle_epi8(_mm256_unpackhi_epi64(ab, cd), swap);
    w[2] = (Words)_mm256_shuffle_epi8(_mm256_unpacklo_epi64(ab_high, cd_high), swap);
    w[3] = (Words)_mm256_shuffle_epi8(_mm256_unpackhi_epi64(ab_high, cd_high), swap);
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

#include "base/sha256_lanes.h"

namespace arrowmind {

void sha256_lanes_avx2(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  ARROWMIND_ISA::hash_lanes(state, data, blocks);
}

}  // namespace arrowmind
