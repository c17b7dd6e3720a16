#pragma once

// float32 activations times float32, float16 or int8 weights, written once over sixteen lanes. Each output is
// one chain of fused multiply-adds over k in order; the tile has enough of them side by side to hide their
// latency (4 cycles, 2 a cycle).

#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

namespace detail {
// Byte j of each 32-bit lane of 64 bytes, sign-extended: the codes of k = 4 q + j for 16 outputs.
template <int j>
inline F32x16 quad_codes(const char* p) {
#if defined(__AVX512F__)
  const __m512i quads = _mm512_loadu_si512(p);
  return {_mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(quads, 24 - 8 * j), 24))};
#else
  const auto part = [](const char* q) {
    const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q));
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(quads, 24 - 8 * j), 24));
  };
  return {part(p), part(p + 32)};
#endif
}
}  // namespace detail

// Weight types: bytes of one quad of k of a panel, and the j-th k of a quad as floats.
struct F32Weights {
  static constexpr bool kDecodes = false;
  static constexpr int64_t kQuadBytes = 4 * kPanel * 4;
  static int64_t panel_bytes(int64_t k) { return k * kPanel * 4; }
  template <int j>
  static F32x16 load(const char* quad) {
    return arrowmind::ARROWMIND_ISA::load(reinterpret_cast<const float*>(quad) + j * kPanel);
  }
};

struct F16Weights {
  static constexpr bool kDecodes = true;
  static constexpr int64_t kQuadBytes = 4 * kPanel * 2;
  static int64_t panel_bytes(int64_t k) { return k * kPanel * 2; }
  template <int j>
  static F32x16 load(const char* quad) {
    return load_f16(reinterpret_cast<const uint16_t*>(quad) + j * kPanel);
  }
};

struct I8Weights {
  static constexpr bool kDecodes = true;
  static constexpr int64_t kQuadBytes = 4 * kPanel;
  static int64_t panel_bytes(int64_t k) { return ceil_of(k, kQuad) * kQuadBytes; }
  template <int j>
  static F32x16 load(const char* quad) {
    return detail::quad_codes<j>(quad);
  }
};

template <class Weights>
struct FloatForm {
  using Vector = F32x16;
  using Code = float;
  using Packed = float;
  static constexpr bool kPadded = false;
  static constexpr bool kDecodes = Weights::kDecodes;
  static constexpr bool kHasZero = Weights::kQuadBytes == I8Weights::kQuadBytes;
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
  // 64 quads of one panel of floats are 16 KB, half of the smallest L1.
  static constexpr int64_t kChunkQuads = 64;

  static int64_t panel_bytes(int64_t k) { return Weights::panel_bytes(k); }
  static constexpr int64_t decoded_quad_bytes() { return panels(kRows) * kQuad * sizeof(Vector); }

  static void pack(const float* in, int64_t quads, int64_t rows, float* out) {
    for (int64_t quad = 0; quad < quads; ++quad) {
      _mm_storeu_ps(out + quad * rows * kQuad, _mm_loadu_ps(in + quad * kQuad));
    }
  }

  // A chunk as floats: [k][panels][16].
  static void decode(const TileArgs<FloatForm>& t, int64_t panels, char* chunk) {
    float* out = reinterpret_cast<float*>(chunk);
    for (int64_t i = 0; i < panels; ++i) {
      const F32x16 zero_point = zero_of(t, i);
      const char* w = t.w + i * t.panel_bytes;
      float* lane = out + i * kPanel;
      const int64_t step = panels * kPanel;
      for (int64_t quad = 0; quad < t.quads; ++quad, w += kQuadBytes, lane += 4 * step) {
        store(lane, Weights::template load<0>(w) - zero_point);
        store(lane + step, Weights::template load<1>(w) - zero_point);
        store(lane + 2 * step, Weights::template load<2>(w) - zero_point);
        store(lane + 3 * step, Weights::template load<3>(w) - zero_point);
      }
      if (t.tail > 0) store(lane, Weights::template load<0>(w) - zero_point);
      if (t.tail > 1) store(lane + step, Weights::template load<1>(w) - zero_point);
      if (t.tail > 2) store(lane + 2 * step, Weights::template load<2>(w) - zero_point);
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
    const float* a = t.a;
    const char* w = t.w;
    for (int64_t quad = 0; quad < t.quads; ++quad) {
      step<R, P, kDecoded, 0>(t, a, w, acc);
      step<R, P, kDecoded, 1>(t, a, w, acc);
      step<R, P, kDecoded, 2>(t, a, w, acc);
      step<R, P, kDecoded, 3>(t, a, w, acc);
      a += R * kQuad;
      w += kDecoded ? kQuad * P * sizeof(Vector) : kQuadBytes;
    }
    if (t.tail > 0) step<R, P, kDecoded, 0>(t, a, w, acc);
    if (t.tail > 1) step<R, P, kDecoded, 1>(t, a, w, acc);
    if (t.tail > 2) step<R, P, kDecoded, 2>(t, a, w, acc);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) t.sums[r * P + i] = acc[r][i];
    }
  }

 private:
  static F32x16 zero_of(const TileArgs<FloatForm>& t, int64_t panel) {
    return t.w_zero == nullptr ? zero() : load(t.w_zero + panel * kPanel);
  }

  template <int R, int P, bool kDecoded, int j>
  [[gnu::always_inline]] static void step(const TileArgs<FloatForm>& t, const float* a, const char* w,
                                          F32x16 (&acc)[R][P]) {
    F32x16 weights[P];
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i) {
      if constexpr (kDecoded) {
        weights[i] = load(reinterpret_cast<const float*>(w) + (j * P + i) * kPanel);
      } else {
        weights[i] = Weights::template load<j>(w + i * t.panel_bytes);
        if constexpr (kHasZero) weights[i] = weights[i] - zero_of(t, i);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 value = set1(a[r * kQuad + j]);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[r][i] = fma(value, weights[i], acc[r][i]);
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
