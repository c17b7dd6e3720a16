// AVX-512 BF16: vdpbf16ps on pairs of k, sixteen outputs to a register; half the instructions of float32. Its
// order and its zeros for small numbers are the contract of kBf16 (qmatmul.h).

#include <immintrin.h>

#include "kernels/qmatmul/bf16_pairs.h"
#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

struct Bf16Form {
  using Vector = F32x16;
  using Code = uint16_t;
  using Packed = uint16_t;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = true;
  static constexpr int kVectors = 1;
  static constexpr int kRows = 12;
  static constexpr int kMaxPanels = 8;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 8 : rows <= 5 ? 4 : 2; }
  static constexpr int64_t kPairsOfQuad = kQuad / 2;
  static constexpr int64_t kQuadBytes = kQuad * kPanel * sizeof(uint16_t);
  // 64 quads of two panels are 16 KB, beside 6 KB of activations.
  static constexpr int64_t kChunkQuads = 64;

  static int64_t quads(const Params& p) { return ceil_of(p.k, kQuad); }
  static int64_t unit(const Params& /*p*/) { return 1; }
  static int64_t panel_bytes(const Params& p) {
    return p.k * kPanel * static_cast<int64_t>(sizeof(uint16_t));
  }
  static constexpr int64_t decoded_quad_bytes() { return kMaxPanels * kQuadBytes; }

  static void pack(const uint16_t* in, int64_t quads, int64_t rows, uint16_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, 8);
  }

  // A chunk as pairs, one panel after the other.
  static void decode(const TileArgs<Bf16Form>& t, int64_t panels, char* chunk) {
    for (int64_t i = 0; i < panels; ++i) {
      interleave_pairs(reinterpret_cast<const uint16_t*>(t.w + i * t.panel_bytes),
                       t.params->k - t.quad * kQuad, t.quads * kPairsOfQuad,
                       reinterpret_cast<uint16_t*>(chunk + i * t.quads * kQuadBytes));
    }
  }

  struct Finish {
    Finish(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const PanelEpilogue& epilogue, int64_t /*m*/, const Vector* sums) const {
      return epilogue.scale(*sums);
    }
  };

  static Tile<Bf16Form> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<Bf16Form>(rows, panels, decoded);
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<Bf16Form>& t) {
    F32x16 acc[R][P];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[r][i] = t.first ? zero() : t.sums[r * P + i];
    }
    const int64_t panel_bytes = t.quads * kQuadBytes;
    const uint16_t* a = t.a;
    const char* w = t.w;
    for (int64_t quad = 0; quad < t.quads; ++quad) {
      if (quad < t.next_lines) __builtin_prefetch(t.next + quad * 64, 0, 2);
#pragma GCC unroll 2
      for (int64_t pair = 0; pair < kPairsOfQuad; ++pair, w += kPanel * 4) {
        __m512i weights[P];
#pragma GCC unroll 16
        for (int i = 0; i < P; ++i) weights[i] = _mm512_loadu_si512(w + i * panel_bytes);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          int32_t two;
          std::memcpy(&two, a + r * kQuad + 2 * pair, 4);
          const __m512i rows = _mm512_set1_epi32(two);
#pragma GCC unroll 16
          for (int i = 0; i < P; ++i) {
            acc[r][i].v = _mm512_dpbf16_ps(acc[r][i].v, (__m512bh)rows, (__m512bh)weights[i]);
          }
        }
      }
      a += R * kQuad;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) t.sums[r * P + i] = acc[r][i];
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_bf16_bf16_12x32_avx512bf16(const Params& p) {
  isa::Blocking<isa::Bf16Form>(p).run();
}

}  // namespace arrowmind::qmatmul
