// Grids on AArch64 with i8mm: smmla on decoded codes (smmla.h), which are interleaved once for all row tiles.
// Sums of a part are folded into floats in the order of qmatmul.h, as in grid_form.h; outputs stay in memory.
//
// Budget: a part of 128 k is at most 128 * 127 * 127 < 2^21 in int32.

#include "kernels/qmatmul/grid_neon.h"
#include "kernels/qmatmul/smmla.h"

namespace arrowmind::ARROWMIND_ISA {

template <class Codes>
struct GridSmmlaForm {
  using Vector = F32x16;
  using Code = int8_t;
  using Packed = int8_t;
  using Ops = GridNeon;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = true;
  static constexpr int kVectors = 1;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 1;
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kRowBytes = kPanel * kQuad;
  static constexpr int64_t kQuadBytes = kRowBytes * Codes::kTraits.bits / 8;
  // 128 fours of a panel decoded are 8 KB and at most 4 KB of scales, beside a tile's activations in L1.
  static constexpr int64_t kChunkQuads = 128;
  static constexpr int panels(int64_t /*rows*/) { return 1; }

  static int64_t unit(const Params& p) { return block_of(p.grid.group) / kQuad; }
  static int64_t quads(const Params& p) { return ceil_of(p.k, block_of(p.grid.group)) * unit(p); }
  static int64_t panel_bytes(const Params& p) { return quads(p) * kQuadBytes; }
  // A row of bytes for each four of k; a scale and a zero point for each part, of four fours at least.
  static constexpr int64_t decoded_quad_bytes() { return kRowBytes + 2 * kPanel * sizeof(float) / 4; }

  static void pack(const int8_t* in, int64_t quads, int64_t rows, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, 4);
  }

  // A chunk as operands, [two fours of k][8][16], then the scale and the zero point of each part.
  static void decode(const TileArgs<GridSmmlaForm>& t, int64_t /*panels*/, char* chunk) {
    const char* w = t.w;
    char* out = chunk;
    constexpr int64_t kFours = kPlanes == 1 ? 2 : kPlanes;
    if constexpr (kInSequence<Codes>) {
      decode_sequence<Ops, Codes>(w, t.quad == 0, t.quads, out);
      for (int64_t quad = 0; quad < t.quads; quad += 2, out += 2 * kRowBytes) {
        const typename Ops::Row four = Ops::load_row(out);
        store_operands(four, Ops::load_row(out + kRowBytes), out);
      }
    }
    for (int64_t quad = 0; !kInSequence<Codes> && quad < t.quads; quad += kFours, out += kFours * kRowBytes) {
      const typename Ops::Row packed = Ops::load_row(w);
      w += kRowBytes;
      if constexpr (kInSequence<Codes>) {
        continue;
      } else if constexpr (kPlanes == 1) {
        store_operands(packed, Ops::load_row(w), out);
        w += kRowBytes;
      } else {
        store_operands(Codes::template four<Ops, 0>(packed), Codes::template four<Ops, 1>(packed), out);
      }
      if constexpr (kPlanes == 4) {
        store_operands(Codes::template four<Ops, 2>(packed), Codes::template four<Ops, 3>(packed),
                       out + 2 * kRowBytes);
      }
    }
    const PanelScales scales(t.params->grid, Codes::kTraits, t.params->k, t.n);
    const int64_t part_quads = part_of(t.params->grid.group) / kQuad;
    float* values = reinterpret_cast<float*>(out);
    for (int64_t part = 0; part < t.quads / part_quads; ++part, values += 2 * kPanel) {
      store(values, scales.scale(t.quad / part_quads + part));
      if (!Codes::kSigned) store(values + kPanel, scales.zero_steps(t.quad / part_quads + part));
    }
  }

  struct Finish {
    Finish(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const PanelEpilogue& /*epilogue*/, int64_t /*m*/, const Vector* sums) const {
      return *sums;
    }
  };

  static Tile<GridSmmlaForm> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<GridSmmlaForm>(rows, panels, decoded);
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<GridSmmlaForm>& t) {
    static_assert(P == 1 && kDecoded);
    for (int r = 0; r < R && t.first; ++r) t.sums[r] = zero();
    if (part_of(t.params->grid.group) == block_of(t.params->grid.group)) {
      add_blocks<R, 1>(t);
    } else {
      add_blocks<R, 2>(t);
    }
  }

 private:
  static void store_operands(const typename Ops::Row& first, const typename Ops::Row& second, char* out) {
    const auto put = [&](int i, uint8x16_t a, uint8x16_t b) {
      int8_t* two = reinterpret_cast<int8_t*>(out) + 32 * i;
      vst1q_s8(two, zip_quads_low(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
      vst1q_s8(two + 16, zip_quads_high(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
    };
    put(0, first.q0, second.q0);
    put(1, first.q1, second.q1);
    put(2, first.q2, second.q2);
    put(3, first.q3, second.q3);
  }

  // Sums of products over `quads` fours of k.
  template <int R>
  [[gnu::always_inline]] static SmmlaSums<R> sum_part(const int8_t* a, const char* w, int64_t quads) {
    SmmlaSums<R> sums;
#pragma GCC unroll 3
    for (int r = 0; r < (R + 1) / 2; ++r) {
#pragma GCC unroll 8
      for (int i = 0; i < kSmmlaOperands; ++i) sums.pair[r][i] = vdupq_n_s32(0);
    }
    for (int64_t quad = 0; quad < quads; quad += 2, a += 2 * R * kQuad, w += 2 * kRowBytes) {
      int8x16_t weights[kSmmlaOperands];
#pragma GCC unroll 8
      for (int i = 0; i < kSmmlaOperands; ++i) {
        weights[i] = vld1q_s8(reinterpret_cast<const int8_t*>(w) + 16 * i);
      }
      smmla_step<R, true>(a, weights, sums);
    }
    return sums;
  }

  // Sixteen sums of row r as floats.
  template <int R>
  [[gnu::always_inline]] static F32x16 row_floats(const SmmlaSums<R>& sums, int r) {
    const int32x4_t* pair = sums.pair[r / 2];
    const auto four = [&](int i) {
      return vcvtq_f32_s32(r % 2 == 0 ? low_halves(pair[2 * i], pair[2 * i + 1])
                                      : high_halves(pair[2 * i], pair[2 * i + 1]));
    };
    return {four(0), four(1), four(2), four(3)};
  }

  template <int R, int kParts>
  static void add_blocks(const TileArgs<GridSmmlaForm>& t) {
    const Params& p = *t.params;
    const int64_t part_quads = part_of(p.grid.group) / kQuad, block_quads = part_quads * kParts;
    const int64_t all_blocks = quads(p) / block_quads, first = t.quad / block_quads;
    const float* values = reinterpret_cast<const float*>(t.w + t.quads * kRowBytes);
    const int8_t* a = t.a;
    const char* w = t.w;
    for (int64_t block = 0; block < t.quads / block_quads; ++block) {
      for (int64_t line = block * block_quads; line < (block + 1) * block_quads; ++line) {
        if (line < t.next_lines) __builtin_prefetch(t.next + line * 64, 0, 2);
      }
      const int64_t at = first + block;
      F32x16 value[R];
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        const SmmlaSums<R> sums = sum_part<R>(a, w, part_quads);
        const F32x16 scale = load(values + 2 * i * kPanel);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          F32x16 real = row_floats<R>(sums, r);
          if constexpr (!Codes::kSigned) {
            const float sum = static_cast<float>(p.a_sum[((t.m + r) * all_blocks + at) * kParts + i]);
            real = fma(load(values + (2 * i + 1) * kPanel), set1(-Codes::kTraits.zero_step * sum), real);
          }
          value[r] = i == 0 ? real * scale : fma(real, scale, value[r]);
        }
        a += part_quads * R * kQuad;
        w += part_quads * kRowBytes;
      }
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        t.sums[r] = fma(value[r], set1(p.a_scale[(t.m + r) * all_blocks + at]), t.sums[r]);
      }
      values += 2 * kParts * kPanel;
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_6x16_neoni8mm(const Params& p) {
  isa::Blocking<isa::GridSmmlaForm<isa::Trellis3Codes>>(p).run();
}

}  // namespace arrowmind::qmatmul
