#pragma once

// Codes of a grid times int8 activations: integer sums over each part of k, folded into floats part by part
// in the order of qmatmul.h. Ops names the instructions of one ISA:
//
//   Row          64 code bytes: sixteen outputs times four k
//   Quad         four activation codes of one row, broadcast to every output
//   Acc          sums of products of a few fours of k; Ops::fours<Codes>() of them fit
//   I32x16       their sums as int32
//   load_row, row_and, row_left, row_right, row_table; broadcast; none, mac, widen; splat, add, sub,
//   times128, to_float
//
// Codes decodes a row of packed codes to rows of bytes, one for each four of k in it.

#include "kernels/grid/values.h"
#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

using grid::block_of;
using grid::part_of;

// kLargest: of the decoded bytes, for the budget of 16-bit sums.
struct I8Codes {
  static constexpr GridTraits kTraits = kI8Traits;
  static constexpr bool kSigned = true;
  static constexpr int kLargest = 127;
  template <class Ops, int j>
  static typename Ops::Row four(typename Ops::Row packed) {
    return packed;
  }
};

struct I4Codes {
  static constexpr GridTraits kTraits = kI4Traits;
  static constexpr bool kSigned = false;
  static constexpr int kLargest = 15;
  template <class Ops, int j>
  static typename Ops::Row four(typename Ops::Row packed) {
    return Ops::row_and(j == 0 ? packed : Ops::template row_right<4>(packed), 0x0f);
  }
};

struct I2Codes {
  static constexpr GridTraits kTraits = kI2Traits;
  static constexpr bool kSigned = false;
  static constexpr int kLargest = 6;
  template <class Ops, int j>
  static typename Ops::Row four(typename Ops::Row packed) {
    if constexpr (j == 0) {
      return Ops::row_and(Ops::template row_left<1>(packed), 0x06);
    } else {
      return Ops::row_and(Ops::template row_right<2 * j - 1>(packed), 0x06);
    }
  }
};

struct Fp4Codes {
  static constexpr GridTraits kTraits = kFp4Traits;
  static constexpr bool kSigned = false;
  static constexpr int kLargest = 24;
  template <class Ops, int j>
  static typename Ops::Row four(typename Ops::Row packed) {
    return Ops::row_table(kFp4Levels, I4Codes::four<Ops, j>(packed));
  }
};

template <class Ops, class Codes>
struct GridForm {
  using Vector = F32x16;
  using Code = int8_t;
  using Packed = int8_t;
  using Row = typename Ops::Row;
  using I32x16 = typename Ops::I32x16;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = false;
  static constexpr int kVectors = 1;
  static constexpr int kRows = Ops::kRows;
  static constexpr int kMaxPanels = 1;
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kRowBytes = kPanel * kQuad;
  static constexpr int64_t kQuadBytes = kRowBytes / kPlanes;
  // 128 fours of a panel decoded are 8 KB and at most 4 KB of scales, beside a tile's activations in L1.
  static constexpr int64_t kChunkQuads = 128;
  static constexpr int panels(int64_t /*rows*/) { return 1; }

  static int64_t quads(const Params& p) {
    return ceil_of(p.k, block_of(p.grid.group)) * block_of(p.grid.group) / kQuad;
  }
  static int64_t unit(const Params& p) { return block_of(p.grid.group) / kQuad; }
  static int64_t panel_bytes(const Params& p) { return quads(p) * kQuadBytes; }
  // A row of bytes for each four of k; a scale and a shift for each part, of four fours at least.
  static constexpr int64_t decoded_quad_bytes() { return kRowBytes + 2 * kPanel * sizeof(float) / 4; }

  static void pack(const int8_t* in, int64_t quads, int64_t rows, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, 4);
  }

  // A chunk as [four of k][64], then the scale of each part, then its shift.
  static void decode(const TileArgs<GridForm>& t, int64_t /*panels*/, char* chunk) {
    const char* w = t.w;
    char* out = chunk;
    for (int64_t quad = 0; quad < t.quads; quad += kPlanes, w += kRowBytes) {
      const Row packed = Ops::load_row(w);
      store_fours(packed, out, std::make_integer_sequence<int, kPlanes>{});
      out += kPlanes * kRowBytes;
    }
    const PanelScales scales(t.params->grid, Codes::kTraits, t.params->k, t.n);
    const int64_t part_quads = part_of(t.params->grid.group) / kQuad;
    const int64_t parts = t.quads / part_quads;
    float* values = reinterpret_cast<float*>(out);
    for (int64_t part = 0; part < parts; ++part, values += kPanel) {
      const F32x16 scale = scales.scale(t.quad / part_quads + part);
      store(values, scale);
      if (kShifts) store(values + parts * kPanel, scales.shift(t.quad / part_quads + part, scale));
    }
  }

  struct Finish {
    Finish(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const PanelEpilogue& /*epilogue*/, int64_t /*m*/, const Vector* sums) const {
      return *sums;
    }
  };

  static Tile<GridForm> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<GridForm>(rows, panels, decoded);
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<GridForm>& t) {
    const int64_t part = part_of(t.params->grid.group);
    if (t.first) {
      for (int r = 0; r < R; ++r) t.sums[r] = zero();
    }
    if (part < block_of(t.params->grid.group)) {
      constexpr bool kOneStep = Ops::template fours<Codes>() >= kFewestFours;
      return add_blocks<R, kDecoded, 2, kOneStep>(t);
    }
    if constexpr (Ops::template fours<Codes>() < kMostFours) {
      if (part / kQuad > Ops::template fours<Codes>()) return add_blocks<R, kDecoded, 1, false>(t);
    }
    add_blocks<R, kDecoded, 1, true>(t);
  }

 private:
  static constexpr int64_t kFewestFours = 16 / kQuad;  // of a part
  static constexpr int64_t kMostFours = 128 / kQuad;

  // Whether what unsigned codes are too large by is taken off as - zero * scale for each part.
  static constexpr bool kShifts = !Codes::kSigned;

  // What the activations of a tile bring: [R, blocks] scales, [R, parts] sums, scaled or not.
  template <int kParts>
  struct RowScales {
    explicit RowScales(const TileArgs<GridForm>& t)
        : blocks(quads(*t.params) / unit(*t.params)),
          scale(t.params->a_scale + t.m * blocks + t.quad / unit(*t.params)),
          sum(t.params->a_sum + (t.m * blocks + t.quad / unit(*t.params)) * kParts),
          weighted(t.params->a_weighted + (t.m * blocks + t.quad / unit(*t.params)) * kParts) {}
    int64_t blocks;
    const float* scale;
    const int32_t* sum;
    const float* weighted;
  };

  // kOneStep: the products of a part fit the accumulators.
  template <int R, bool kDecoded, int kParts, bool kOneStep>
  static void add_blocks(const TileArgs<GridForm>& t) {
    const PartScales<kDecoded> scales(t);
    const RowScales<kParts> rows(t);
    const int64_t part_quads = part_of(t.params->grid.group) / kQuad;
    const int64_t blocks = t.quads / part_quads / kParts;
    // In registers where there are enough of them beside the accumulators, else in memory between blocks.
    F32x16 kept[R];
    F32x16* out = Ops::kKeepsOutputs ? kept : t.sums;
#pragma GCC unroll 16
    for (int r = 0; r < R && Ops::kKeepsOutputs; ++r) kept[r] = t.sums[r];
    const Packed* a = t.a;
    const char* w = t.w;
    const char* next = t.next;
    int64_t next_lines = t.next_lines;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t lines = smaller(next_lines, part_quads * kParts);
      for (int64_t line = 0; line < lines; ++line) __builtin_prefetch(next + line * 64, 0, 2);
      next += lines * 64;
      next_lines -= lines;
      F32x16 value[R];
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        const int64_t part = block * kParts + i;
        I32x16 sums[R];
        sum_part<R, kDecoded, kOneStep>(a, w, part_quads, sums);
        const F32x16 scale = scales.scale(part);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const int32_t* sum = rows.sum + r * rows.blocks * kParts + part;
          const F32x16 real = Ops::to_float(unbiased(sums[r], sum));
          value[r] = i == 0 ? real * scale : fma(real, scale, value[r]);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        out[r] = fma(value[r], set1(rows.scale[r * rows.blocks + block]), out[r]);
      }
#pragma GCC unroll 2
      for (int i = 0; i < kParts && kShifts; ++i) {
        const int64_t part = block * kParts + i;
        const F32x16 shift = scales.shift(part);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          out[r] = fma(shift, set1(rows.weighted[r * rows.blocks * kParts + part]), out[r]);
        }
      }
      if constexpr (!Ops::kKeepsOutputs) __asm__ volatile("" : : : "memory");
    }
#pragma GCC unroll 16
    for (int r = 0; r < R && Ops::kKeepsOutputs; ++r) t.sums[r] = kept[r];
  }

  // Less what a bias of the codes adds, of signed codes for unsigned instructions: a multiple of the
  // activations' sum.
  static I32x16 unbiased(I32x16 sums, const int32_t* sum) {
    if constexpr (Ops::template bias<Codes>() == 0) {
      return sums;
    } else {
      static_assert(Ops::template bias<Codes>() == 128);
      return Ops::sub(sums, Ops::times128(Ops::splat(*sum)));
    }
  }

  template <int... j>
  static void store_fours(Row packed, char* out, std::integer_sequence<int, j...> /*fours*/) {
    (Ops::store_row(out + j * kRowBytes, Codes::template four<Ops, j>(packed)), ...);
  }

  // Scales of the parts of a chunk: decoded with it, or read from the weights.
  template <bool kDecoded, int = 0>
  struct PartScales {
    explicit PartScales(const TileArgs<GridForm>& t)
        : values(reinterpret_cast<const float*>(t.w + t.quads * kRowBytes)),
          parts(t.quads * kQuad / part_of(t.params->grid.group)) {}
    F32x16 scale(int64_t part) const { return load(values + part * kPanel); }
    F32x16 shift(int64_t part) const { return load(values + (parts + part) * kPanel); }
    const float* values;
    int64_t parts;
  };
  template <int dummy>
  struct PartScales<false, dummy> {
    explicit PartScales(const TileArgs<GridForm>& t)
        : scales(t.params->grid, Codes::kTraits, t.params->k, t.n) {}
    F32x16 scale(int64_t part) const { return scales.scale(part); }
    F32x16 shift(int64_t part) const { return scales.shift(part, scales.scale(part)); }
    PanelScales scales;
  };

  // Sums of products over `quads` fours of k; moves a and w behind them.
  template <int R, bool kDecoded, bool kOneStep>
  [[gnu::always_inline]] static void sum_part(const Packed*& a, const char*& w, int64_t quads,
                                              I32x16 (&sums)[R]) {
    constexpr int64_t kFours = Ops::template fours<Codes>();
    for (int64_t quad = 0; quad < (kOneStep ? 1 : quads); quad += kFours) {
      typename Ops::template Acc<Codes> acc[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) acc[r] = Ops::none();
      add_products<R, kDecoded>(a, w, kOneStep ? quads : smaller(kFours, quads - quad), acc);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const I32x16 widened = Ops::template widen<Codes>(acc[r]);
        sums[r] = kOneStep || quad == 0 ? widened : Ops::add(sums[r], widened);
      }
    }
  }

  template <int R, bool kDecoded, class Acc>
  [[gnu::always_inline]] static void add_products(const Packed*& a, const char*& w, int64_t quads,
                                                  Acc (&acc)[R]) {
    if constexpr (kDecoded) {
      for (int64_t quad = 0; quad < quads; ++quad, w += kRowBytes, a += R * kQuad) {
        add_four<R>(Ops::load_row(w), a, acc);
      }
    } else {
      for (int64_t quad = 0; quad < quads; quad += kPlanes, w += kRowBytes) {
        const Row packed = Ops::load_row(w);
        add_fours<R>(packed, a, acc, std::make_integer_sequence<int, kPlanes>{});
        a += kPlanes * R * kQuad;
      }
    }
  }

  template <int R, class Acc, int... j>
  [[gnu::always_inline]] static void add_fours(Row packed, const Packed* a, Acc (&acc)[R],
                                               std::integer_sequence<int, j...> /*fours*/) {
    (add_four<R>(Codes::template four<Ops, j>(packed), a + j * R * kQuad, acc), ...);
  }

  template <int R, class Acc>
  [[gnu::always_inline]] static void add_four(Row w, const Packed* a, Acc (&acc)[R]) {
    const auto prepared = Ops::template prepare<Codes>(w);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) Ops::template mac<Codes>(acc[r], prepared, Ops::broadcast(a + r * kQuad));
  }
};

// The values of a grid as floats, for float activations: (decoded - offset - zero) * scale.
template <class Ops, class Codes>
struct GridFloats {
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = true;
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kRowBytes = kPanel * kQuad;
  static constexpr int64_t kQuadBytes = kRowBytes / kPlanes;
  static int64_t panel_bytes(const Params& p) {
    return ceil_of(p.k, block_of(p.grid.group)) * block_of(p.grid.group) / kQuad * kQuadBytes;
  }
  struct Panel {
    explicit Panel(const float* /*zero*/) {}
  };

  // Panel i of a chunk as floats, `step` apart for each k.
  template <class Args>
  static void decode(const Args& t, int64_t i, int64_t step, float* out) {
    const Params& p = *t.params;
    const PanelScales scales(p.grid, Codes::kTraits, p.k, t.n + i * kPanel);
    const char* panel = t.w + i * t.panel_bytes - t.quad * kQuadBytes;
    const int64_t part_quads = part_of(p.grid.group) / kQuad;
    const int64_t end = t.quad + t.quads + (t.tail > 0 ? 1 : 0);
    F32x16 scale = zero(), offset = zero();
    for (int64_t quad = t.quad; quad < end; ++quad, out += 4 * step) {
      const int64_t part = quad / part_quads;
      if (quad == t.quad || quad % part_quads == 0) {
        scale = scales.scale(part);
        offset =
            scales.has_zeros() ? scales.zero_points(part) : set1(static_cast<float>(Codes::kTraits.offset));
      }
      alignas(64) char bytes[kRowBytes];
      Ops::store_row(bytes, four(Ops::load_row(panel + quad / kPlanes * kRowBytes), quad % kPlanes));
      const int64_t count = quad < t.quad + t.quads ? kQuad : t.tail;
      for (int64_t j = 0; j < count; ++j) {
        store(out + j * step,
              (Ops::template byte_floats<Codes>(bytes, static_cast<int>(j)) - offset) * scale);
      }
    }
  }

 private:
  static typename Ops::Row four(typename Ops::Row packed, int64_t j) {
    if constexpr (kPlanes > 1) {
      if (j == 1) return Codes::template four<Ops, 1>(packed);
    }
    if constexpr (kPlanes > 2) {
      if (j == 2) return Codes::template four<Ops, 2>(packed);
      if (j == 3) return Codes::template four<Ops, 3>(packed);
    }
    return Codes::template four<Ops, 0>(packed);
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
