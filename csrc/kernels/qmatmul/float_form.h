#pragma once

// Float activations times float32, float16, bfloat16 or int8 weights, written once over sixteen lanes. Each
// output is one chain of fused multiply-adds over k in order; the tile has enough of them side by side to
// hide their latency (4 cycles, 2 a cycle).

#include <cstring>

#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

// Weight types: bytes of one quad of k of a panel, what all k of a panel share, and the j-th k of a quad as
// floats.
struct F32Weights {
  static constexpr bool kDecodes = false;
  static constexpr int64_t kQuadBytes = 4 * kPanel * 4;
  static constexpr bool kAlwaysDecodes = false;
  static int64_t panel_bytes(const Params& p) { return p.k * kPanel * 4; }
  struct Panel {
    explicit Panel(const float* /*zero*/) {}
  };
  template <int j>
  static F32x16 load(const char* quad, const Panel& /*panel*/) {
    return arrowmind::ARROWMIND_ISA::load(reinterpret_cast<const float*>(quad) + j * kPanel);
  }
};

// Weights of 16 bits; load(): sixteen of them as floats.
template <F32x16 (*kLoad)(const uint16_t*)>
struct HalfWeights {
  static constexpr bool kDecodes = true;
  static constexpr int64_t kQuadBytes = 4 * kPanel * 2;
  static constexpr bool kAlwaysDecodes = false;
  static int64_t panel_bytes(const Params& p) { return p.k * kPanel * 2; }
  struct Panel {
    explicit Panel(const float* /*zero*/) {}
  };
  template <int j>
  static F32x16 load(const char* quad, const Panel& /*panel*/) {
    return kLoad(reinterpret_cast<const uint16_t*>(quad) + j * kPanel);
  }
};
using F16Weights = HalfWeights<load_f16>;
using Bf16Weights = HalfWeights<load_bf16>;

// Byte j of each 32-bit lane goes to the low end of the float 2^23, biased by 128: a shuffle and an exclusive
// or make 2^23 + 128 + code, and one exact subtraction takes off 2^23 + 128 + zero point. Shifting and
// converting costs as much without the zero point, and all on the two ports of the multiply-add (Intel).
struct I8Weights {
  static constexpr bool kDecodes = true;
  static constexpr int64_t kQuadBytes = 4 * kPanel;
  static constexpr float kBias = 0x1p23f + 128.0f;
  static constexpr bool kAlwaysDecodes = false;
  static int64_t panel_bytes(const Params& p) { return ceil_of(p.k, kQuad) * kQuadBytes; }
  struct Panel {
    explicit Panel(const float* zero)
        : bias(zero == nullptr ? set1(kBias) : set1(kBias) + arrowmind::ARROWMIND_ISA::load(zero)) {}
    F32x16 bias;
  };
#if defined(ARROWMIND_NEON)
  template <int j>
  static F32x16 load(const char* quad, const Panel& panel) {
    constexpr uint8_t kNone = 0x80;  // beyond the table: zero
    static constexpr uint8_t kBytes[16] = {j,     kNone, kNone, kNone, j + 4,  kNone, kNone, kNone,
                                           j + 8, kNone, kNone, kNone, j + 12, kNone, kNone, kNone};
    const auto biased = [](const char* p) {
      const uint8x16_t codes = vld1q_u8(reinterpret_cast<const uint8_t*>(p));
      const uint32x4_t byte = vreinterpretq_u32_u8(vqtbl1q_u8(codes, vld1q_u8(kBytes)));
      return vreinterpretq_f32_u32(veorq_u32(byte, vdupq_n_u32(0x4b000080)));
    };
    return F32x16{biased(quad), biased(quad + 16), biased(quad + 32), biased(quad + 48)} - panel.bias;
  }
#else
  template <int j>
  static F32x16 load(const char* quad, const Panel& panel) {
    constexpr int kByte = static_cast<int>(0x80808000u) + j;
    const __m128i lane = _mm_setr_epi32(kByte, kByte + 4, kByte + 8, kByte + 12);
#if defined(__AVX512F__)
    const __m512i byte = _mm512_shuffle_epi8(_mm512_loadu_si512(quad), _mm512_broadcast_i32x4(lane));
    return F32x16{_mm512_castsi512_ps(_mm512_xor_si512(byte, _mm512_set1_epi32(0x4b000080)))} - panel.bias;
#else
    const auto biased = [&](const char* p) {
      const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
      const __m256i byte = _mm256_shuffle_epi8(codes, _mm256_broadcastsi128_si256(lane));
      return _mm256_castsi256_ps(_mm256_xor_si256(byte, _mm256_set1_epi32(0x4b000080)));
    };
    return F32x16{biased(quad), biased(quad + 32)} - panel.bias;
#endif
  }
#endif
};

template <class Weights>
struct FloatForm {
  using Vector = F32x16;
  using Code = float;
  using Packed = float;
  static constexpr bool kPadded = false;
  static constexpr bool kDecodes = Weights::kDecodes;
  static constexpr bool kAlwaysDecodes = Weights::kAlwaysDecodes;
  static constexpr int kVectors = 1;
#if defined(__AVX512F__)
  static constexpr int kRows = 14;
  static constexpr int kMaxPanels = 8;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 8 : rows <= 6 ? 4 : 2; }
#else
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 4;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 4 : rows <= 2 ? 2 : 1; }
#endif
  static constexpr int64_t kQuadBytes = Weights::kQuadBytes;
  // 32 quads of two panels of floats are 16 KB, half of the smallest L1.
  static constexpr int64_t kChunkQuads = 32;

  static int64_t quads(const Params& p) { return p.k / kQuad; }
  static int64_t unit(const Params& /*p*/) { return 1; }
  static int64_t panel_bytes(const Params& p) { return Weights::panel_bytes(p); }
  static constexpr int64_t decoded_quad_bytes() {
    return (kAlwaysDecodes ? kMaxPanels : panels(kRows)) * kQuad * sizeof(Vector);
  }

  static void pack(const float* in, int64_t quads, int64_t rows, float* out) {
    for (int64_t quad = 0; quad < quads; ++quad) {
      std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, kQuad * sizeof(float));
    }
  }

  // A chunk as floats: [k][panels][16].
  static void decode(const TileArgs<FloatForm>& t, int64_t panels, char* chunk) {
    float* out = reinterpret_cast<float*>(chunk);
    if constexpr (kAlwaysDecodes) {
      for (int64_t i = 0; i < panels; ++i) Weights::decode(t, i, panels * kPanel, out + i * kPanel);
    } else {
      decode_quads(t, panels, out);
    }
  }

  static void decode_quads(const TileArgs<FloatForm>& t, int64_t panels, float* out) {
    const int64_t step = panels * kPanel;
    const int64_t quads = t.quads;
    for (int64_t i = 0; i < panels; ++i) {
      const Panel panel = panel_of(t, i);
      const char* w = t.w + i * t.panel_bytes;
      float* lane = out + i * kPanel;
      for (int64_t quad = 0; quad < quads; ++quad, w += kQuadBytes, lane += 4 * step) {
        store(lane, Weights::template load<0>(w, panel));
        store(lane + step, Weights::template load<1>(w, panel));
        store(lane + 2 * step, Weights::template load<2>(w, panel));
        store(lane + 3 * step, Weights::template load<3>(w, panel));
      }
      if (t.tail > 0) store(lane, Weights::template load<0>(w, panel));
      if (t.tail > 1) store(lane + step, Weights::template load<1>(w, panel));
      if (t.tail > 2) store(lane + 2 * step, Weights::template load<2>(w, panel));
    }
  }

  struct Finish {
    Finish(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const PanelEpilogue& epilogue, int64_t /*m*/, const Vector* sums) const {
      return epilogue.scale(*sums);
    }
  };

  static Tile<FloatForm> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<FloatForm>(rows, panels, decoded);
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<FloatForm>& t) {
    F32x16 acc[R][P];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[r][i] = t.first ? zero() : t.sums[r * P + i];
    }
    const Sources<P, kDecoded> source(t);
    const float* a = t.a;
    const char* w = t.w;
    for (int64_t quad = 0; quad < t.quads; ++quad) {
      if (quad < t.next_lines) __builtin_prefetch(t.next + quad * 64, 0, 2);
      step<R, P, kDecoded, 0>(source, a, w, acc);
      step<R, P, kDecoded, 1>(source, a, w, acc);
      step<R, P, kDecoded, 2>(source, a, w, acc);
      step<R, P, kDecoded, 3>(source, a, w, acc);
      a += R * kQuad;
      w += kDecoded ? kQuad * P * sizeof(Vector) : kQuadBytes;
    }
    if (t.tail > 0) step<R, P, kDecoded, 0>(source, a, w, acc);
    if (t.tail > 1) step<R, P, kDecoded, 1>(source, a, w, acc);
    if (t.tail > 2) step<R, P, kDecoded, 2>(source, a, w, acc);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) t.sums[r * P + i] = acc[r][i];
    }
  }

 private:
  using Panel = typename Weights::Panel;

  static Panel panel_of(const TileArgs<FloatForm>& t, int64_t i) {
    return Panel(t.w_zero == nullptr ? nullptr : t.w_zero + i * kPanel);
  }

  // Weights of P panels at one k: packed, or decoded to floats.
  template <int P, bool kDecoded>
  struct Sources {
    explicit Sources(const TileArgs<FloatForm>& /*t*/) {}
    template <int j>
    F32x16 load(const char* w, int i) const {
      return arrowmind::ARROWMIND_ISA::load(reinterpret_cast<const float*>(w) + (j * P + i) * kPanel);
    }
  };
  template <int P>
  struct Sources<P, false> {
    explicit Sources(const TileArgs<FloatForm>& t) : Sources(t, std::make_integer_sequence<int, P>{}) {}
    template <int j>
    F32x16 load(const char* w, int i) const {
      return Weights::template load<j>(w + i * panel_bytes, panels[i]);
    }
    int64_t panel_bytes;
    Panel panels[P];

   private:
    template <int... i>
    Sources(const TileArgs<FloatForm>& t, std::integer_sequence<int, i...> /*panels*/)
        : panel_bytes(t.panel_bytes), panels{panel_of(t, i)...} {}
  };

  template <int R, int P, bool kDecoded, int j>
  [[gnu::always_inline]] static void step(const Sources<P, kDecoded>& source, const float* a, const char* w,
                                          F32x16 (&acc)[R][P]) {
    F32x16 weights[P];
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i) weights[i] = source.template load<j>(w, i);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 value = set1(a[r * kQuad + j]);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[r][i] = fma(value, weights[i], acc[r][i]);
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
