// AVX2. Codes: sign-extension to 16 bits (vpmovsxbw), vpmaddwd with four activation codes broadcast as 64
// bits, vpaddd. A register holds four outputs with two partial sums each:
//
//   w  | n0k0 n0k1 n0k2 n0k3 | n1k0 .. | n2k0 .. | n3k0 .. n3k3 |   16 x int16
//   a  | k0   k1   k2   k3   | k0   .. | k0   .. | k0   .. k3   |
//   acc| n0 (k0 k1), n0 (k2 k3) | n1 ..                         |    8 x int32
//
// Budget: each partial sum is bounded by the whole, see qmatmul.h; vpmaddwd itself cannot overflow, as its
// only overflowing operands are four times -32768.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/integer_form.h"
#include "kernels/qmatmul/pack_codes.h"

namespace arrowmind::ARROWMIND_ISA {

struct Maddwd {
  using Vector = __m256i;
  using Packed = int16_t;
  static constexpr bool kDecodes = true;
  static constexpr int kVectors = 4;
  static constexpr int kDecodedAtOnce = 2;
  static constexpr bool kFetchesToSecondCache = true;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 1;
  // 128 quads of half a panel are 8 KB widened, and 6 KB of activations: together well inside L1.
  static constexpr int64_t kChunkQuads = 128;
  static constexpr int panels(int64_t /*rows*/) { return 1; }
  static constexpr int at_once(int rows) { return rows <= 2 ? 4 : 2; }

  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector load(const char* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Vector broadcast(const int16_t* p) {
    return _mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static Vector dot(Vector acc, Vector w, Vector a) { return _mm256_add_epi32(acc, _mm256_madd_epi16(w, a)); }
  // vpaddd on neighbours (vphaddd) leaves the outputs in the order 0 1 4 5 2 3 6 7: pairs are swapped back.
  struct Total {
    Total(const Params& /*p*/, int64_t /*n*/) {}
    static __m256 eight(Vector a, Vector b) {
      return _mm256_cvtepi32_ps(_mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8));
    }
    F32x16 operator()(const Vector* sums) const { return {eight(sums[0], sums[1]), eight(sums[2], sums[3])}; }
  };
};

struct MaddwdI16 : Maddwd {
  using Code = int16_t;
  static void pack(const int16_t* in, int64_t quads, int64_t step, int16_t* out) {
    pack_words(in, quads, step, out);
  }
};

struct MaddwdI8 : Maddwd {
  using Code = int8_t;
  static void pack(const int8_t* in, int64_t quads, int64_t step, int16_t* out) {
    pack_words(in, quads, step, out);
  }
};

// Codes in bounded pairs: vpmaddubsw on activations biased to a + 128, straight on the packed weights, eight
// outputs to a register. 128 * w_sum is taken off at the end; sums wrap around without loss, see
// x86_avx512vnni.cc.
struct Maddubs {
  using Vector = __m256i;
  using Code = int8_t;
  using Packed = uint8_t;
  static constexpr bool kDecodes = false;
  static constexpr int kVectors = 2;
  static constexpr int kDecodedAtOnce = 2;
  static constexpr bool kFetchesToSecondCache = true;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 2;
  // 128 quads of a panel are 8 KB, beside 3 KB of activations.
  static constexpr int64_t kChunkQuads = 128;
  static constexpr int panels(int64_t rows) { return rows <= 2 ? 2 : 1; }
  static constexpr int at_once(int rows) { return 2 * panels(rows); }

  static Vector zero() { return _mm256_setzero_si256(); }
  // Weights stay in memory, an operand of their product: twelve accumulators, the activations, a product and
  // the ones leave one register. The compiler would load them, and move accumulators out.
  static const Vector* load(const char* p) { return reinterpret_cast<const Vector*>(p); }
  static Vector broadcast(const uint8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, 4);
    return _mm256_set1_epi32(codes);
  }
  static Vector dot(Vector acc, const Vector* w, Vector a) {
    __m256i product;
    __asm__(
        "vpmaddubsw %[w], %[a], %[product]\n\t"
        "vpmaddwd %[ones], %[product], %[product]\n\t"
        "vpaddd %[product], %[acc], %[acc]"
        : [acc] "+x"(acc), [product] "=&x"(product)
        : [w] "m"(*w), [a] "x"(a), [ones] "x"(_mm256_set1_epi16(1)));
    return acc;
  }
  static void pack_rows(const int8_t* in, int64_t stride, int64_t quads, int64_t rows, uint8_t* out) {
    pack_biased(in, stride, quads, rows, out);
  }
  struct Total {
    Total(const Params& p, int64_t n) {
      if (p.w_sum != nullptr) {
        const auto* sums = reinterpret_cast<const __m256i*>(p.w_sum + n);
        low = _mm256_slli_epi32(_mm256_loadu_si256(sums), 7);
        high = _mm256_slli_epi32(_mm256_loadu_si256(sums + 1), 7);
        return;
      }
      const int64_t quads = ceil_of(p.k, kQuad);
      const char* w = static_cast<const char*>(p.w) + n / kPanel * quads * kPanel * kQuad;
      const __m256i bias = _mm256_set1_epi8(-128);  // 128 as unsigned
      low = high = zero();
      for (int64_t quad = 0; quad < quads; ++quad, w += kPanel * kQuad) {
        low = dot(low, load(w), bias);
        high = dot(high, load(w + 32), bias);
      }
    }
    F32x16 operator()(const Vector* sums) const {
      return {_mm256_cvtepi32_ps(_mm256_sub_epi32(sums[0], low)),
              _mm256_cvtepi32_ps(_mm256_sub_epi32(sums[1], high))};
    }
    __m256i low, high;  // what the activations' + 128 added to each output
  };
};

// Codes in bounded fours: what two vpmaddubsw give is added before vpmaddwd widens it, five instructions for
// 64 products instead of six. Two rows by two panels: weights are memory operands, and of eight such products
// (40 instructions, 13.3 cycles of three ports) 20 loads take 10 cycles of two. Five rows by one panel fill
// the registers, but their 30 loads for 50 instructions leave neither ports nor the front end any slack: a
// tenth slower.
struct MaddubsTwice : Maddubs {
  static constexpr int kRows = 2;

  static Vector dot_twice(Vector acc, const Vector* w, Vector a, const Vector* next_w, Vector next_a) {
    __m256i product, next;
    __asm__(
        "vpmaddubsw %[w], %[a], %[product]\n\t"
        "vpmaddubsw %[next_w], %[next_a], %[next]\n\t"
        "vpaddw %[next], %[product], %[product]\n\t"
        "vpmaddwd %[ones], %[product], %[product]\n\t"
        "vpaddd %[product], %[acc], %[acc]"
        : [acc] "+x"(acc), [product] "=&x"(product), [next] "=&x"(next)
        : [w] "m"(*w), [a] "x"(a), [next_w] "m"(*next_w), [next_a] "x"(next_a),
          [ones] "x"(_mm256_set1_epi16(1)));
    return acc;
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_f32_f32_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F32Weights>>(p).run();
}
void qmatmul_f32_f16_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F16Weights>>(p).run();
}
void qmatmul_f32_bf16_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::Bf16Weights>>(p).run();
}
void qmatmul_f32_i8_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::I8Weights>>(p).run();
}
void qmatmul_i16_i8_6x8x4_avx2(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::MaddwdI16>>(p).run();
}
void qmatmul_i8_i8p_6x16x4_avx2(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Maddubs>>(p).run();
}
void qmatmul_i8_i8f_2x32x8_avx2(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::MaddubsTwice>>(p).run();
}
void qmatmul_i8_i8_6x8x4_avx2(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::MaddwdI8>>(p).run();
}

}  // namespace arrowmind::qmatmul
