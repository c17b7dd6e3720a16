#pragma once

// Codes of a grid times int8 activations: integer sums over each part of k, folded into floats part by part
// in the order of qmatmul.h. Ops names the instructions of one ISA:
//
//   Row          64 code bytes: sixteen outputs times four k
//   Acc          sums of products of a few fours of k; Ops::fours<Codes>() of them fit
//   I32x16       their sums as int32
//   load_row, row_and, row_right, row_table; of codes in sequence row_left, row_or, row_add, zero_row;
//   prepare, product, mac, widen; splat, add, sub, times128, to_float
//   kInPlaceRows, add_quarter     up to how many rows two-bit codes are multiplied where they lie; optional
//   kFetchesToSecondCache         what few rows will meet is fetched no nearer; where it is declared
//
// Codes decodes a row of packed codes to rows of bytes, one for each four of k in it.

#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/grid_scales.h"
#include "kernels/qmatmul/tile_table.h"
#if defined(__x86_64__)
#include "kernels/qmatmul/pack_codes.h"
#endif

namespace arrowmind::ARROWMIND_ISA {

using grid::block_of;
using grid::part_of;

// The number of a row among those of its unit.
template <int j>
using Place = std::integral_constant<int, j>;

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
  static constexpr int kLargest = 3;
  template <class Ops, int j>
  static typename Ops::Row four(typename Ops::Row packed) {
    if constexpr (j == 0) {
      return Ops::row_and(packed, 0x03);
    } else {
      return Ops::row_and(Ops::template row_right<2 * j>(packed), 0x03);
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

// Codes that are decoded in sequence: whole fours of k from a multiple of kUnit on. Their Sequence<Ops>
// stands at such a place of a panel; each() gives the rows of bytes of the unit at `w`, by their number, and
// goes on.
struct Trellis2Codes : grid::Trellis2Tables {
  static constexpr GridTraits kTraits = kTrellisTraits<Trellis2Tables>;
  static constexpr bool kSigned = false;
  static constexpr int64_t kUnit = 4;  // fours of k in a row of codes

  template <class Ops>
  struct Sequence {
    using Row = typename Ops::Row;
    Row before, second2, second3;

    // `is_first`: no codes lie before `w`.
    Sequence(const char* w, bool is_first) : before(is_first ? Ops::zero_row() : Ops::load_row(w - 64)) {
      second2 = Ops::row_table(kSecond, Ops::row_and(Ops::template row_right<2>(before), 0x0f));
      second3 = Ops::row_table(kSecond, Ops::row_and(Ops::template row_right<4>(before), 0x0f));
    }

    template <class Put>
    [[gnu::always_inline]] void each(const char* w, const Put& put) {
      const Row codes = Ops::load_row(w);
      const Row n0 = Ops::row_or(Ops::row_and(Ops::template row_right<6>(before), 0x03),
                                 Ops::row_and(Ops::template row_left<2>(codes), 0x0c));
      const Row n1 = Ops::row_and(codes, 0x0f);
      const Row n2 = Ops::row_and(Ops::template row_right<2>(codes), 0x0f);
      const Row n3 = Ops::row_and(Ops::template row_right<4>(codes), 0x0f);
      put(Place<0>{}, Ops::row_add(Ops::row_table(kFirst, n0), second2));
      put(Place<1>{}, Ops::row_add(Ops::row_table(kFirst, n1), second3));
      put(Place<2>{}, Ops::row_add(Ops::row_table(kFirst, n2), Ops::row_table(kSecond, n0)));
      put(Place<3>{}, Ops::row_add(Ops::row_table(kFirst, n3), Ops::row_table(kSecond, n1)));
      second2 = Ops::row_table(kSecond, n2);
      second3 = Ops::row_table(kSecond, n3);
      before = codes;
    }
  };
};

struct Trellis3Codes : grid::Trellis3Tables {
  static constexpr GridTraits kTraits = kTrellisTraits<Trellis3Tables>;
  static constexpr bool kSigned = false;
  static constexpr int64_t kUnit = 8;  // fours of k in three rows of codes

  template <class Ops>
  struct Sequence {
    using Row = typename Ops::Row;
    Row before, second;

    Sequence(const char* w, bool is_first) : before(is_first ? Ops::zero_row() : Ops::load_row(w - 64)) {
      second = Ops::row_table(kSecond, Ops::row_and(Ops::template row_right<4>(before), 0x0f));
    }

    template <class Put>
    [[gnu::always_inline]] void each(const char* w, const Put& put) {
      const Row b0 = Ops::load_row(w), b1 = Ops::load_row(w + 64), b2 = Ops::load_row(w + 128);
      const auto give = [&](auto place, Row nibble) __attribute__((always_inline)) {
        put(place, Ops::row_add(Ops::row_table(kFirst, nibble), second));
        second = Ops::row_table(kSecond, nibble);
      };
      give(Place<0>{}, Ops::row_or(Ops::row_and(Ops::template row_right<7>(before), 0x01),
                                   Ops::row_and(Ops::template row_left<1>(b0), 0x0e)));
      give(Place<1>{}, Ops::row_and(Ops::template row_right<2>(b0), 0x0f));
      give(Place<2>{}, Ops::row_or(Ops::row_and(Ops::template row_right<5>(b0), 0x07),
                                   Ops::row_and(Ops::template row_left<3>(b1), 0x08)));
      give(Place<3>{}, Ops::row_and(b1, 0x0f));
      give(Place<4>{}, Ops::row_and(Ops::template row_right<3>(b1), 0x0f));
      give(Place<5>{}, Ops::row_or(Ops::row_and(Ops::template row_right<6>(b1), 0x03),
                                   Ops::row_and(Ops::template row_left<2>(b2), 0x0c)));
      give(Place<6>{}, Ops::row_and(Ops::template row_right<1>(b2), 0x0f));
      give(Place<7>{}, Ops::row_and(Ops::template row_right<4>(b2), 0x0f));
      before = b2;
    }
  };
};

// Rows of bytes of `quads` fours of k, from `w` on.
template <class Ops, class Codes>
inline void decode_sequence(const char* w, bool is_first, int64_t quads, char* out) {
  typename Codes::template Sequence<Ops> sequence(w, is_first);
  for (int64_t quad = 0; quad < quads; quad += Codes::kUnit) {
    sequence.each(w, [&](auto place, typename Ops::Row row)
                         __attribute__((always_inline)) { Ops::store_row(out + place() * 64, row); });
    w += Codes::kUnit * 8 * Codes::kTraits.bits;
    out += Codes::kUnit * 64;
  }
}

template <class Codes>
constexpr bool kInSequence = requires { Codes::kUnit; };

template <class Ops, class Codes>
struct GridForm {
  using Vector = F32x16;
  using Code = int8_t;
  using Packed = int8_t;
  using Row = typename Ops::Row;
  using I32x16 = typename Ops::I32x16;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = kInSequence<Codes>;
  static constexpr int kVectors = 1;
  static constexpr int kRows = Ops::kRows;
  static constexpr int kMaxPanels = kAlwaysDecodes ? 1 : Ops::panels(1);
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kRowBytes = kPanel * kQuad;
  static constexpr int64_t kQuadBytes = kRowBytes * Codes::kTraits.bits / 8;
  // 128 fours of a panel decoded are 8 KB and at most 4 KB of scales, beside a tile's activations in L1.
  static constexpr int64_t kChunkQuads = 128;
  // Few rows wait for the weights: several panels are as many streams for the prefetchers to follow.
  static constexpr int panels(int64_t rows) { return kAlwaysDecodes ? 1 : Ops::panels(rows); }
  // Whether zero points, or the codes of level 0, are taken off the sums of each part.
  static constexpr bool kZeros = !Codes::kSigned;
  static constexpr bool kBiased = Ops::template bias<Codes>() != 0;
  static_assert(!kBiased || Ops::template bias<Codes>() == 128);

  // Up to how many rows codes in sequence are decoded in registers and multiplied there, by the only tile
  // that wants them. Where a part is shorter than a unit they are not.
  static constexpr int kPackedRows = [] {
    if constexpr (kInSequence<Codes> && requires { Ops::kInPlaceRows; }) return Ops::kInPlaceRows;
    return 0;
  }();
  static bool always_decodes(const Params& p, int64_t rows) {
    if constexpr (kPackedRows > 0) return rows > kPackedRows || part_of(p.grid.group) < Codes::kUnit * kQuad;
    return kAlwaysDecodes;
  }

  static int64_t parts_of(const Params& p) { return block_of(p.grid.group) / part_of(p.grid.group); }
  static int64_t quads(const Params& p) {
    return ceil_of(p.k, block_of(p.grid.group)) * block_of(p.grid.group) / kQuad;
  }
  static int64_t unit(const Params& p) { return block_of(p.grid.group) / kQuad; }
  static int64_t panel_bytes(const Params& p) { return quads(p) * kQuadBytes; }
  // A row of bytes for each four of k; a scale and a zero point for each part, of four fours at least.
  static constexpr int64_t decoded_quad_bytes() { return kRowBytes + 2 * kPanel * sizeof(float) / 4; }

#if defined(__x86_64__)
  static void pack_rows(const int8_t* in, int64_t stride, int64_t quads, int64_t rows, int8_t* out) {
    pack_fours<0>(in, stride, quads, rows, out);
  }
#else
  static void pack(const int8_t* in, int64_t quads, int64_t rows, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, 4);
  }
#endif

  // A chunk as [four of k][64], then the scales of its parts as PanelScales::decode lays them.
  static void decode(const TileArgs<GridForm>& t, int64_t /*panels*/, char* chunk) {
    const char* w = t.w;
    char* out = chunk;
    if constexpr (kInSequence<Codes>) {
      decode_sequence<Ops, Codes>(w, t.quad == 0, t.quads, out);
      out += t.quads * kRowBytes;
    } else {
      for (int64_t quad = 0; quad < t.quads; quad += kPlanes, w += kRowBytes) {
        const Row packed = Ops::load_row(w);
        store_fours(packed, out, std::make_integer_sequence<int, kPlanes>{});
        out += kPlanes * kRowBytes;
      }
    }
    const int64_t part_quads = part_of(t.params->grid.group) / kQuad;
    PanelScales(t.params->grid, Codes::kTraits, t.params->k, t.n)
        .decode<kZeros>(t.quad / part_quads, t.quads / part_quads, reinterpret_cast<float*>(out));
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

  // What a tile reads of its rows' activations beside the codes, for each block: [rows] scales, then for each
  // part [rows] factors of its zero points and, where codes are biased, [rows] sums (int32).
  static constexpr int64_t kPartRows = (kZeros ? 1 : 0) + (kBiased ? 1 : 0);
  static int64_t row_values(const Params& p) {
    const int64_t blocks = quads(p) / unit(p);
    return blocks * (1 + parts_of(p) * kPartRows);
  }
  static void pack_values(const Params& p, int64_t m, int64_t rows, float* out) {
    const int64_t blocks = quads(p) / unit(p), parts = parts_of(p);
    const float* scales = p.a_scale + m * blocks;
    const int32_t* sums = p.a_sum + m * blocks * parts;
    if (rows == 1 && parts == 1 && kPartRows == 1 && kZeros) {
      // One row is laid out anew for each part of its outputs.
      for (int64_t block = 0; block < blocks; ++block) {
        out[2 * block] = scales[block];
        out[2 * block + 1] = -Codes::kTraits.zero_step * static_cast<float>(sums[block]);
      }
      return;
    }
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t row = 0; row < rows; ++row) *out++ = scales[row * blocks + block];
      for (int64_t part = block * parts; part < (block + 1) * parts; ++part) {
        for (int64_t row = 0; kZeros && row < rows; ++row) {
          *out++ = -Codes::kTraits.zero_step * static_cast<float>(sums[row * blocks * parts + part]);
        }
        for (int64_t row = 0; kBiased && row < rows; ++row) {
          std::memcpy(out++, &sums[row * blocks * parts + part], sizeof(float));
        }
      }
    }
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<GridForm>& t) {
    const int64_t part = part_of(t.params->grid.group);
    if (t.first) {
      for (int i = 0; i < R * P; ++i) t.sums[i] = zero();
    }
    if (part == 16) return add_blocks<R, P, kDecoded, 2, smaller(kStep, 4), (kStep < 4)>(t);
    if constexpr (kStep >= 8) {
      if (part == 32) return add_blocks<R, P, kDecoded, 1, 8, false>(t);
    }
    if constexpr (kStep == 16) {
      if (part == 64) return add_blocks<R, P, kDecoded, 1, kStep, false>(t);
    }
    if constexpr (kDecoded && R > kInPlaceRows && kWholeParts) {
      if (part == 128) return add_blocks<R, P, kDecoded, 1, 32, false>(t);
    }
    add_blocks<R, P, kDecoded, 1, kStep, true>(t);
  }

 private:
  // Fours of k whose products are added up without a loop: a part of 32, of two-bit codes one of 64, where
  // the accumulators hold its sums.
  static constexpr int64_t kFours = Ops::template fours<Codes>();
  static constexpr int64_t kStep = kFours >= 16 && kPlanes == 4 ? 16 : kFours >= 8 ? 8 : kFours >= 4 ? 4 : 2;
  static_assert(kFours >= kStep && kStep % kPlanes == 0);
  // Of a part of 128, too, where registers are few: sums that are widened in between would not stay in them.
  static constexpr bool kWholeParts = kFours >= 32 && kPlanes == 4 && !Ops::kKeepsOutputs;
  // Two-bit codes of few rows: those of the second and the fourth four stay two bits up in their bytes, where
  // they count four times, and have sums of their own. So a row of codes is shifted once, not three times.
  // Budget: a four adds at most 254 * 12 to a 16-bit lane of these sums, which have half of the fours.
  static constexpr int kInPlaceRows = [] {
    if constexpr (requires { Ops::kInPlaceRows; }) return Ops::kInPlaceRows;
    return 0;
  }();
  static_assert(kInPlaceRows == 0 || kPlanes != 4 || kStep / 2 * 254 * 12 <= 32767);

  // Scales of packed codes are decoded for this many blocks at a time.
  static constexpr int64_t kRunBlocks = 16;
  // Outputs stay in registers where there are enough of them beside the accumulators, else in memory between
  // blocks. Two-bit codes multiplied where they lie have twice as many sums.
  template <int kOutputs>
  static constexpr bool kKeeps = Ops::kKeepsOutputs || kOutputs <= (kInPlaceRows > 0 && kPlanes == 4 ? 1 : 2);
  // Bytes of codes from where a tile reads to where it has them fetched, of all panels together, and how near
  // they come.
  static constexpr bool kToSecondCache = requires { Ops::kFetchesToSecondCache; };
  static constexpr int64_t kAllAhead = kToSecondCache ? 16384 : 8192;
  static constexpr int kLocality = kToSecondCache ? 2 : 3;

  // Shifts, as parts are powers of two: a division takes as long as a block of some rows.
  static int64_t parts_in(const TileArgs<GridForm>& t) { return t.quads * kQuad >> part_bits(t); }
  static int64_t first_part(const TileArgs<GridForm>& t) { return t.quad * kQuad >> part_bits(t); }
  static int part_bits(const TileArgs<GridForm>& t) {
    return __builtin_ctzll(static_cast<uint64_t>(part_of(t.params->grid.group)));
  }

  template <int P>
  struct PackedScales {
    explicit PackedScales(const TileArgs<GridForm>& t)
        : PackedScales(t, std::make_integer_sequence<int, P>{}) {}
    template <int... i>
    PackedScales(const TileArgs<GridForm>& t, std::integer_sequence<int, i...> /*panels*/)
        : panel{PanelScales(t.params->grid, Codes::kTraits, t.params->k, t.n + i * kPanel)...} {}
    PanelScales panel[P];
  };

  // Where a tile is in its operands.
  struct Position {
    const Packed* a;
    const char* w;        // of the first panel
    const float* values;  // of the rows
    int64_t panel_bytes, part_quads;
    const char* ahead;  // what is fetched while a block of the first panel is read
    const char* begin;  // of the panel, where no codes lie before
  };

  // kSteps: a part has several times kQuads fours of k.
  template <int R, int P, bool kDecoded, int kParts, int64_t kQuads, bool kSteps>
  static void add_blocks(const TileArgs<GridForm>& t) {
    static_assert(!kDecoded || P == 1);
    const int64_t part_quads = part_of(t.params->grid.group) / kQuad;
    const int64_t blocks = parts_in(t) / kParts;
    F32x16 kept[R * P];
    F32x16* out = kKeeps<R * P> ? kept : t.sums;
#pragma GCC unroll 16
    for (int i = 0; i < R * P && kKeeps<R * P>; ++i) kept[i] = t.sums[i];
    Position at{t.a, t.w, t.values, t.panel_bytes, part_quads, t.w, t.w};
    if constexpr (kDecoded) {
      DecodedScales<kZeros> scales{reinterpret_cast<const float*>(t.w + t.quads * kRowBytes), 0};
      const char* next = t.next;
      int64_t next_lines = t.next_lines;
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t lines = smaller(next_lines, part_quads * kParts);
        for (int64_t line = 0; line < lines; ++line) __builtin_prefetch(next + line * 64, 0, 2);
        next += lines * 64;
        next_lines -= lines;
        add_block<R, P, kDecoded, kParts, kQuads, kSteps>(at, scales, out);
      }
    } else {
      constexpr int64_t kAhead = kAllAhead / P;
      const ScalePlace place{quads(*t.params) * kQuad >> part_bits(t), first_part(t), t.n};
      // Ahead of the last blocks of a panel are the first ones of the panel that follows, P panels on.
      const auto stored = [&](auto scales) __attribute__((always_inline)) {
        const int64_t block_bytes = kParts * (kSteps ? part_quads : kQuads) * kQuadBytes;
        const int64_t ahead =
            smaller(static_cast<uint32_t>(kAhead) / static_cast<uint32_t>(block_bytes), blocks);
        const auto add = [&](int64_t count, int64_t parts_ahead) __attribute__((always_inline)) {
          for (int64_t block = 0; block < count; ++block) {
            scales.template fetch<kLocality>(parts_ahead);
            add_block<R, P, kDecoded, kParts, kQuads, kSteps>(at, scales, out);
          }
        };
        at.ahead = at.w + ahead * block_bytes;
        add(blocks - ahead, ahead);
        at.ahead += (P - 1) * at.panel_bytes;
        add(ahead, ahead + (P - 1) * place.parts);
      };
      bool done = false;
      if constexpr (R == 1 && kParts == 1 && kZeros && Codes::kTraits.unit == 1.0f) {
        done = with_stored_scales<Codes, P>(t.params->grid, place, stored);
      }
      if (!done) {
        constexpr int64_t kRunScales = kRunBlocks * kParts * DecodedScales<kZeros>::kPart;
        alignas(64) float decoded[P * kRunScales];
        const PackedScales<P> panels(t);
        int64_t part = first_part(t);
        at.ahead = at.w + kAhead;
        for (int64_t block = 0; block < blocks; block += kRunBlocks) {
          const int64_t run = smaller(kRunBlocks, blocks - block);
          for (int i = 0; i < P; ++i) {
            panels.panel[i].template decode<kZeros>(part, run * kParts, decoded + i * kRunScales);
          }
          DecodedScales<kZeros> scales{decoded, kRunScales};
          part += run * kParts;
          for (int64_t j = 0; j < run; ++j)
            add_block<R, P, kDecoded, kParts, kQuads, kSteps>(at, scales, out);
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R * P && kKeeps<R * P>; ++i) t.sums[i] = kept[i];
  }

  // Adds a block to the outputs, panel by panel, and moves behind it.
  template <int R, int P, bool kDecoded, int kParts, int64_t kQuads, bool kSteps, class Scales>
  [[gnu::always_inline]] static void add_block(Position& at, Scales& scales, F32x16* out) {
    const int64_t part_quads = kSteps ? at.part_quads : kQuads;
    const int64_t part_bytes = part_quads * (kDecoded ? kRowBytes : kQuadBytes);
#pragma GCC unroll 4
    for (int panel = 0; panel < P; ++panel) {
      const Packed* a = at.a;
      const char* w = at.w + panel * at.panel_bytes;
      if constexpr (!kDecoded) {
        const char* ahead = at.ahead + panel * at.panel_bytes;
#pragma GCC unroll 8
        for (int64_t line = 0; line < kParts * part_bytes; line += 64)
          __builtin_prefetch(ahead + line, 0, kLocality);
      }
      F32x16 value[R];
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        I32x16 sums[R];
        if constexpr (kInSequence<Codes> && !kDecoded) {
          sum_sequence<R>(a, w, w == at.begin, part_quads, sums);
        } else {
          sum_part<R, kDecoded, kQuads, kSteps>(a, w, part_quads, sums);
        }
        a += part_quads * R * kQuad;
        w += part_bytes;
        const float* zero_factors = at.values + R * (1 + i * kPartRows);
        const float* biased = zero_factors + (kZeros ? R : 0);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          F32x16 real = Ops::to_float(unbiased(sums[r], biased + r));
          if constexpr (kZeros) real = fma(scales.zeros(panel, i), set1(zero_factors[r]), real);
          const F32x16 scale = scales.scale(panel, i);
          value[r] = i == 0 ? real * scale : fma(real, scale, value[r]);
          if constexpr (kParts == 1) {
            out[r * P + panel] = fma(value[r], set1(at.values[r]), out[r * P + panel]);
          }
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R && kParts > 1; ++r) {
        out[r * P + panel] = fma(value[r], set1(at.values[r]), out[r * P + panel]);
      }
      // Or the compiler would keep copies of the outputs on the stack.
      if constexpr (!kKeeps<R * P>) __asm__ volatile("" : : : "memory");
    }
    at.a += kParts * part_quads * R * kQuad;
    at.w += kParts * part_bytes;
    at.ahead += kParts * part_bytes;
    at.values += R * (1 + kParts * kPartRows);
    scales.next(kParts);
  }

  // Less what a bias of the codes adds, of signed codes for unsigned instructions: a multiple of the
  // activations' sum.
  static I32x16 unbiased(I32x16 sums, const float* sum) {
    if constexpr (!kBiased) {
      return sums;
    } else {
      int32_t bits;
      std::memcpy(&bits, sum, sizeof(bits));
      return Ops::sub(sums, Ops::times128(Ops::splat(bits)));
    }
  }

  template <int... j>
  static void store_fours(Row packed, char* out, std::integer_sequence<int, j...> /*fours*/) {
    (Ops::store_row(out + j * kRowBytes, Codes::template four<Ops, j>(packed)), ...);
  }

  // Sums of products over a part.
  template <int R, bool kDecoded, int64_t kQuads, bool kSteps>
  [[gnu::always_inline]] static void sum_part(const Packed* a, const char* w, int64_t quads,
                                              I32x16 (&sums)[R]) {
    for (int64_t quad = 0; quad < (kSteps ? quads : 1); quad += kQuads) {
      typename Ops::template Acc<Codes> acc[R];
      if constexpr (!kDecoded && kPlanes == 4 && R <= kInPlaceRows) {
        add_rows<R>(a, w, acc, std::make_integer_sequence<int, static_cast<int>(kQuads / kPlanes)>{});
      } else {
        add_fours<R, kDecoded>(a, w, acc, std::make_integer_sequence<int, static_cast<int>(kQuads)>{});
      }
      a += kQuads * R * kQuad;
      w += kDecoded ? kQuads * kRowBytes : kQuads * kQuadBytes;
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const I32x16 widened = Ops::template widen<Codes>(acc[r]);
        sums[r] = kSteps && quad > 0 ? Ops::add(sums[r], widened) : widened;
      }
    }
  }

  // The same of codes in sequence where they lie, `quads` of them whole units. Not chunked: a tile has its
  // panels from their beginning.
  template <int R>
  [[gnu::always_inline]] static void sum_sequence(const Packed* a, const char* w, bool is_first,
                                                  int64_t quads, I32x16 (&sums)[R]) {
    constexpr int kAtOnce = static_cast<int>(smaller(kStep, Codes::kUnit));
    typename Codes::template Sequence<Ops> sequence(w, is_first);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sums[r] = Ops::splat(0);
    for (int64_t quad = 0; quad < quads; quad += Codes::kUnit) {
      typename Ops::template Acc<Codes> acc[R];
      sequence.each(w, [&](auto place, Row row) __attribute__((always_inline)) {
        add_four<R, place() % kAtOnce == 0>(row, a + place() * R * kQuad, acc);
        if constexpr ((place() + 1) % kAtOnce == 0) {
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) sums[r] = Ops::add(sums[r], Ops::template widen<Codes>(acc[r]));
        }
      });
      a += Codes::kUnit * R * kQuad;
      w += Codes::kUnit * kQuadBytes;
    }
  }

  template <int R, bool kDecoded, class Acc, int... j>
  [[gnu::always_inline]] static void add_fours(const Packed* a, const char* w, Acc (&acc)[R],
                                               std::integer_sequence<int, j...> /*fours*/) {
    (add_four<R, j == 0>(four_of<kDecoded, j>(w), a + j * R * kQuad, acc), ...);
  }

  template <int R, class Acc, int... j>
  [[gnu::always_inline]] static void add_rows(const Packed* a, const char* w, Acc (&acc)[R],
                                              std::integer_sequence<int, j...> /*rows*/) {
    Acc fourfold[R];
    (add_row<R, j == 0>(Ops::load_row(w + j * kRowBytes), a + j * kPlanes * R * kQuad, acc, fourfold), ...);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) acc[r] = Ops::template add_quarter<Codes>(acc[r], fourfold[r]);
  }

  template <int R, bool kFirst, class Acc>
  [[gnu::always_inline]] static void add_row(Row packed, const Packed* a, Acc (&acc)[R], Acc (&fourfold)[R]) {
    const Row upper = Ops::template row_right<4>(packed);
    add_four<R, kFirst>(Ops::row_and(packed, 0x03), a, acc);
    add_four<R, kFirst>(Ops::row_and(packed, 0x0c), a + R * kQuad, fourfold);
    add_four<R, false>(Ops::row_and(upper, 0x03), a + 2 * R * kQuad, acc);
    add_four<R, false>(Ops::row_and(upper, 0x0c), a + 3 * R * kQuad, fourfold);
  }

  // Four j of k of decoded or packed codes; the compiler loads a packed row once.
  template <bool kDecoded, int j>
  [[gnu::always_inline]] static Row four_of(const char* w) {
    if constexpr (kDecoded) {
      return Ops::load_row(w + j * kRowBytes);
    } else {
      return Codes::template four<Ops, j % kPlanes>(Ops::load_row(w + j / kPlanes * kRowBytes));
    }
  }

  template <int R, bool kFirst, class Acc>
  [[gnu::always_inline]] static void add_four(Row w, const Packed* a, Acc (&acc)[R]) {
    const auto prepared = Ops::template prepare<Codes>(w);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      if constexpr (kFirst) {
        acc[r] = Ops::template product<Codes>(prepared, a + r * kQuad);
      } else {
        Ops::template mac<Codes>(acc[r], prepared, a + r * kQuad);
      }
    }
  }
};

// The values of a grid as floats, for float activations: (decoded - offset - zero) * scale.
template <class Ops, class Codes>
struct GridFloats {
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = true;
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kRowBytes = kPanel * kQuad;
  static constexpr int64_t kQuadBytes = kRowBytes * Codes::kTraits.bits / 8;
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
    [[maybe_unused]] alignas(64) char fours[8 * kRowBytes];
    for (int64_t quad = t.quad; quad < end; ++quad, out += 4 * step) {
      const int64_t part = quad / part_quads;
      if (quad == t.quad || quad % part_quads == 0) {
        scale = scales.scale(part);
        offset = scales.has_zeros() ? scales.zero_points(part) : set1(Codes::kTraits.offset);
      }
      alignas(64) char own[kRowBytes];
      const char* bytes = own;
      if constexpr (kInSequence<Codes>) {
        // Chunks of floats may begin within a unit.
        constexpr int64_t kUnit = Codes::kUnit;
        const int64_t first = quad / kUnit * kUnit;
        if (quad == t.quad || quad == first) {
          decode_sequence<Ops, Codes>(panel + first * kQuadBytes, first == 0, kUnit, fours);
        }
        bytes = fours + (quad - first) * kRowBytes;
      } else {
        Ops::store_row(own, four(Ops::load_row(panel + quad / kPlanes * kRowBytes), quad % kPlanes));
      }
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
