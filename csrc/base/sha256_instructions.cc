#include "base/sha256_instructions.h"

#include "base/sha256_constants.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define ARROWMIND_SHA __attribute__((target("sha,sse4.1")))
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__clang__)
#define ARROWMIND_SHA __attribute__((target("sha2")))
#else
#define ARROWMIND_SHA __attribute__((target("+crypto")))
#endif
#endif

namespace arrowmind {
namespace {

#if defined(__x86_64__)

// Two rounds at a time, on the state as ABEF and CDGH, most significant word first.
struct Unit {
  using Words = __m128i;

  ARROWMIND_SHA static Words load_block(const uint8_t* data) {
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data)), swap);
  }
  ARROWMIND_SHA static Words load_rounds(const uint32_t* k) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(k));
  }
  ARROWMIND_SHA static Words add(Words a, Words b) { return _mm_add_epi32(a, b); }

  ARROWMIND_SHA void load(const uint32_t* state, int stride) {
    const auto word = [&](int j) { return static_cast<int>(state[j * stride]); };
    first = _mm_set_epi32(word(0), word(1), word(4), word(5));
    second = _mm_set_epi32(word(2), word(3), word(6), word(7));
  }
  ARROWMIND_SHA void store(uint32_t* state, int stride) const {
    constexpr int kFirst[4] = {5, 4, 1, 0}, kSecond[4] = {7, 6, 3, 2};
    alignas(16) uint32_t words[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(words), first);
    for (int i = 0; i < 4; ++i) state[kFirst[i] * stride] = words[i];
    _mm_store_si128(reinterpret_cast<__m128i*>(words), second);
    for (int i = 0; i < 4; ++i) state[kSecond[i] * stride] = words[i];
  }
  ARROWMIND_SHA void four_rounds(Words input) {
    second = _mm_sha256rnds2_epu32(second, first, input);
    first = _mm_sha256rnds2_epu32(first, second, _mm_shuffle_epi32(input, 0x0e));
  }
  // Words 16 to 19 of the schedule behind words 0 to 15.
  ARROWMIND_SHA static Words extend(Words w0, Words w4, Words w8, Words w12) {
    const __m128i w9 = _mm_alignr_epi8(w12, w8, 4);
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), w9), w12);
  }

  __m128i first, second;
};

#elif defined(__aarch64__)

// Four rounds at a time, on the state as ABCD and EFGH.
struct Unit {
  using Words = uint32x4_t;

  ARROWMIND_SHA static Words load_block(const uint8_t* data) {
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data)));
  }
  ARROWMIND_SHA static Words load_rounds(const uint32_t* k) { return vld1q_u32(k); }
  ARROWMIND_SHA static Words add(Words a, Words b) { return vaddq_u32(a, b); }

  ARROWMIND_SHA void load(const uint32_t* state, int stride) {
    uint32_t words[8];
    for (int j = 0; j < 8; ++j) words[j] = state[j * stride];
    first = vld1q_u32(words);
    second = vld1q_u32(words + 4);
  }
  ARROWMIND_SHA void store(uint32_t* state, int stride) const {
    uint32_t words[8];
    vst1q_u32(words, first);
    vst1q_u32(words + 4, second);
    for (int j = 0; j < 8; ++j) state[j * stride] = words[j];
  }
  ARROWMIND_SHA void four_rounds(Words input) {
    const uint32x4_t before = first;
    first = vsha256hq_u32(first, second, input);
    second = vsha256h2q_u32(second, before, input);
  }
  ARROWMIND_SHA static Words extend(Words w0, Words w4, Words w8, Words w12) {
    return vsha256su1q_u32(vsha256su0q_u32(w0, w4), w8, w12);
  }

  uint32x4_t first, second;
};

#endif

#ifdef ARROWMIND_SHA

template <int kMessages>
ARROWMIND_SHA void hash_blocks(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  Unit units[kMessages];
  for (int i = 0; i < kMessages; ++i) units[i].load(state + i, kMessages);
  for (int64_t block = 0; block < blocks; ++block) {
    Unit before[kMessages];
    Unit::Words w[kMessages][4];
    for (int i = 0; i < kMessages; ++i) {
      before[i] = units[i];
      for (int j = 0; j < 4; ++j) w[i][j] = Unit::load_block(data[i] + 64 * block + 16 * j);
    }
#pragma GCC unroll 16
    for (int t = 0; t < 16; ++t) {
      const Unit::Words k = Unit::load_rounds(kSha256Rounds + 4 * t);
#pragma GCC unroll 2
      for (int i = 0; i < kMessages; ++i) {
        Unit::Words& now = w[i][t & 3];
        units[i].four_rounds(Unit::add(now, k));
        if (t < 12) now = Unit::extend(now, w[i][(t + 1) & 3], w[i][(t + 2) & 3], w[i][(t + 3) & 3]);
      }
    }
    for (int i = 0; i < kMessages; ++i) {
      units[i].first = Unit::add(units[i].first, before[i].first);
      units[i].second = Unit::add(units[i].second, before[i].second);
    }
  }
  for (int i = 0; i < kMessages; ++i) units[i].store(state + i, kMessages);
}

#endif

}  // namespace

#ifdef ARROWMIND_SHA

void sha256_instructions(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  hash_blocks<1>(state, data, blocks);
}

void sha256_instructions_pair(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  hash_blocks<2>(state, data, blocks);
}

#else  // never called: there are no such instructions

void sha256_instructions(uint32_t*, const uint8_t* const*, int64_t) {}
void sha256_instructions_pair(uint32_t*, const uint8_t* const*, int64_t) {}

#endif

}  // namespace arrowmind
