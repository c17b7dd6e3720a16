// SHA-256 of as many messages at once as a vector has 32-bit lanes. Included by one source per instruction
// set, which defines V: its lanes and the operations that the language lacks.

#include <cstdint>
#include <cstring>

#include "base/sha256_constants.h"

namespace arrowmind::ARROWMIND_ISA {

using Words = typename V::Words;

template <int kBits>
inline Words rotate(Words x) {
  return (x >> kBits) | (x << (32 - kBits));
}

// One round; the caller renames its eight variables instead of moving them.
inline void round(Words a, Words b, Words c, Words& d, Words e, Words f, Words g, Words& h, Words input) {
  h += (rotate<6>(e) ^ rotate<11>(e) ^ rotate<25>(e)) + (g ^ (e & (f ^ g))) + input;
  d += h;
  h += (rotate<2>(a) ^ rotate<13>(a) ^ rotate<22>(a)) + ((a & b) ^ (c & (a ^ b)));
}

// Word t + 16 of the schedule in the place of word t.
inline void extend(Words* w, int t) {
  const Words early = w[(t + 1) & 15];
  const Words late = w[(t + 14) & 15];
  w[t] += (rotate<7>(early) ^ rotate<18>(early) ^ (early >> 3)) + w[(t + 9) & 15] +
          (rotate<17>(late) ^ rotate<19>(late) ^ (late >> 10));
}

inline void compress(Words* s, Words* w) {
  Words a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
  for (int t = 0; t < 64; t += 16) {
    const uint32_t* k = kSha256Rounds + t;
    for (int i = 0; i < 16; i += 8) {
      round(a, b, c, d, e, f, g, h, w[i + 0] + k[i + 0]);
      round(h, a, b, c, d, e, f, g, w[i + 1] + k[i + 1]);
      round(g, h, a, b, c, d, e, f, w[i + 2] + k[i + 2]);
      round(f, g, h, a, b, c, d, e, w[i + 3] + k[i + 3]);
      round(e, f, g, h, a, b, c, d, w[i + 4] + k[i + 4]);
      round(d, e, f, g, h, a, b, c, w[i + 5] + k[i + 5]);
      round(c, d, e, f, g, h, a, b, w[i + 6] + k[i + 6]);
      round(b, c, d, e, f, g, h, a, w[i + 7] + k[i + 7]);
    }
    if (t == 48) break;
    for (int i = 0; i < 16; ++i) extend(w, i);
  }
  s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h;
}

inline void hash_lanes(uint32_t* state, const uint8_t* const* data, int64_t blocks) {
  Words s[8];
  std::memcpy(s, state, sizeof(s));
  for (int64_t block = 0; block < blocks; ++block) {
    Words w[16];
    for (int t = 0; t < 16; t += 4) V::load_transposed(data, block * 64 + t * 4, w + t);
    compress(s, w);
  }
  std::memcpy(state, s, sizeof(s));
}

}  // namespace arrowmind::ARROWMIND_ISA
