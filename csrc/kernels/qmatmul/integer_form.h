#pragma once

// Codes times codes, exact in int32. A Dot names the instructions of one ISA:
//   Vector, kVectors   registers that hold the products of one quad of k for 16 outputs
//   Code, Packed       activation codes as given, and as the tile reads them
//   kRows, panels()    the register tile
//   load, broadcast, dot
//   dot_twice          optional: the same for two quads of k, 2 i and 2 i + 1, whose products it may add up
//                      before it widens them
//   kFetchesToSecondCache   where it is declared, what few rows will meet is fetched no nearer
//   Total              the accumulators of 16 outputs -> their sums as floats

#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

template <class Dot>
struct IntegerForm {
  using Vector = typename Dot::Vector;
  using Code = typename Dot::Code;
  using Packed = typename Dot::Packed;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = Dot::kDecodes;
  static constexpr bool kAlwaysDecodes = false;
  static constexpr int kVectors = Dot::kVectors;
  static constexpr int kRows = Dot::kRows;
  static constexpr int kMaxPanels = Dot::kMaxPanels;
  static constexpr int64_t kChunkQuads = Dot::kChunkQuads;
  static constexpr int64_t kQuadBytes = kPanel * kQuad;
  static constexpr int64_t kVectorCodes = kQuadBytes / kVectors;

  static constexpr int64_t kRun = 32;  // quads
  // How near what few rows will meet is fetched.
  static constexpr bool kToSecondCache = requires { Dot::kFetchesToSecondCache; };
  static constexpr int kLocality = kToSecondCache ? 2 : 3;

  static int64_t quads(const Params& p) { return ceil_of(p.k, kQuad); }
  static constexpr bool kTwice = requires { &Dot::dot_twice; };
  // Quads stay together in twos where there is no odd one; else each goes by itself.
  static int64_t unit(const Params& p) { return kTwice && quads(p) % 2 == 0 ? 2 : 1; }
  static int64_t panel_bytes(const Params& p) { return quads(p) * kQuadBytes; }
  static constexpr int64_t decoded_quad_bytes() { return kMaxPanels * kVectors * sizeof(Vector); }
  static constexpr int panels(int64_t rows) { return Dot::panels(rows); }

  static void pack(const Code* in, int64_t quads, int64_t rows, Packed* out)
    requires(!requires { Dot::pack_rows(in, 0, quads, rows, out); })
  {
    Dot::pack(in, quads, rows * kQuad, out);
  }
  static void pack_rows(const Code* in, int64_t stride, int64_t quads, int64_t rows, Packed* out)
    requires(requires { Dot::pack_rows(in, stride, quads, rows, out); })
  {
    Dot::pack_rows(in, stride, quads, rows, out);
  }

  // Widens a chunk to [group of vectors][quad][vectors of the group], the order the tile reads.
  static void decode(const TileArgs<IntegerForm>& t, int64_t panels, char* out) {
    constexpr int kAtOnce = Dot::kDecodedAtOnce;
    // Local copies: a store of a vector may alias anything, and would have the fields loaded again.
    const int64_t quads = t.quads;
    const char* panel_weights = t.w;
    Vector* decoded = reinterpret_cast<Vector*>(out);
    for (int64_t panel = 0; panel < panels; ++panel, panel_weights += t.panel_bytes) {
      const char* w = panel_weights;
      for (int64_t quad = 0; quad < quads; ++quad, w += kQuadBytes) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          if constexpr (kDecodes) {
            decoded[(v / kAtOnce * quads + quad) * kAtOnce + v % kAtOnce] = Dot::load(w + v * kVectorCodes);
          }
        }
      }
      decoded += kVectors * quads;
    }
  }

  struct Finish : Dot::Total {
    using Dot::Total::Total;
    F32x16 operator()(const PanelEpilogue& epilogue, int64_t m, const Vector* sums) const {
      return epilogue.dequantise(m, Dot::Total::operator()(sums));
    }
  };

  static Tile<IntegerForm> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<IntegerForm>(rows, panels, decoded);
  }

  static const char* weight_address(const TileArgs<IntegerForm>& t, int64_t quad, int64_t v) {
    return t.w + v / kVectors * t.panel_bytes + quad * kQuadBytes + v % kVectors * kVectorCodes;
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<IntegerForm>& t) {
    constexpr int V = P * kVectors;
    constexpr int T = kDecoded ? Dot::kDecodedAtOnce : smaller(V, Dot::at_once(R));
    for (int v = 0; v < V; v += T) {
      Vector acc[R][T];
      Vector* sums = t.sums + v;
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
        for (int i = 0; i < T; ++i) acc[r][i] = t.first ? Dot::zero() : sums[r * V + i];
      }
      const Packed* a = t.a;
      const char* decoded = t.w + v * t.quads * static_cast<int64_t>(sizeof(Vector));
      const char* packed[T];
      for (int i = 0; i < T; ++i) packed[i] = weight_address(t, 0, v + i);
      const bool twice = kTwice && unit(*t.params) == 2;
      const char* next = t.next;
      int64_t next_lines = v == 0 ? t.next_lines : 0;
      // Ahead of the last quads of a panel are the first ones of the panel that follows, P panels on.
      constexpr bool kFetches = !kDecoded && R <= 2;  // few rows wait for the weights
      constexpr int64_t kAheadQuads = (kToSecondCache ? 2 : 1) * (P <= 2 ? 2 * kRun : kRun);
      const int64_t ahead_quads = kFetches ? smaller(kAheadQuads, t.quads) : 0;
      const int64_t turn = t.quads - ahead_quads;
      // Runs of quads, each behind its share of the prefetches: with a branch for them among the products,
      // compilers move accumulators out of the registers.
      for (int64_t quad = 0; quad < t.quads;) {
        const int64_t end = smaller(quad + kRun, quad < turn ? turn : t.quads);
        [[maybe_unused]] const int64_t ahead =
            ahead_quads * kQuadBytes + (quad < turn ? 0 : (P - 1) * t.panel_bytes);
        for (int64_t i = quad; i < end && next_lines > 0; ++i, --next_lines, next += 64) {
          __builtin_prefetch(next, 0, 2);
        }
        if constexpr (kTwice) {
          const int64_t last = twice ? end : quad;
          for (; quad < last; quad += 2, a += 2 * R * kQuad) {
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
              const auto first = Dot::broadcast(a + r * kQuad);
              const auto second = Dot::broadcast(a + (R + r) * kQuad);
#pragma GCC unroll 16
              for (int i = 0; i < T; ++i) {
                const char* w =
                    packed[i / kVectors * kVectors] + quad * kQuadBytes + i % kVectors * kVectorCodes;
                acc[r][i] = Dot::dot_twice(acc[r][i], Dot::load(w), first, Dot::load(w + kQuadBytes), second);
              }
            }
          }
        }
        for (; quad < end; ++quad) {
          if constexpr (kFetches) {
#pragma GCC unroll 16
            for (int i = 0; i < T; i += kVectors) {
              __builtin_prefetch(packed[i / kVectors * kVectors] + quad * kQuadBytes + ahead, 0, kLocality);
            }
          }
          decltype(Dot::load(nullptr)) w[T];
#pragma GCC unroll 16
          for (int i = 0; i < T; ++i) {
            if constexpr (kDecoded) {
              w[i] = *reinterpret_cast<const Vector*>(decoded + i * sizeof(Vector));
            } else {
              w[i] = Dot::load(packed[i / kVectors * kVectors] + quad * kQuadBytes +
                               i % kVectors * kVectorCodes);
            }
          }
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            const auto broadcast = Dot::broadcast(a + r * kQuad);
#pragma GCC unroll 16
            for (int i = 0; i < T; ++i) acc[r][i] = Dot::dot(acc[r][i], w[i], broadcast);
          }
          a += R * kQuad;
          decoded += T * sizeof(Vector);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
        for (int i = 0; i < T; ++i) sums[r * V + i] = acc[r][i];
      }
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
