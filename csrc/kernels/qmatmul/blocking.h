#pragma once

// The loops around every vectorised kernel. A Form (integer_form.h, float_form.h) brings the register tile
// and what its numbers look like; here is what all of them share:
//
//   for blocks of rows                      activations repacked once: [tile][k / 4][rows of the tile][4], so
//                                           that a tile reads one stream whatever the stride of the matrix
//     for groups of 1 or 2 panels           16 or 32 outputs
//       for chunks of k                     a chunk of the panel stays in L1 while all row tiles use it;
//                                           decoded to the tile's operand type once, when several tiles
//                                           follow
//         for row tiles                     sums stay in registers, and in `sums` between chunks
//       epilogue of the group
//
// Chunks of k carry whole accumulators, so float sums keep their order.

#include <type_traits>  // types only, no code

#include "kernels/qmatmul/epilogue.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/qmatmul/scratch.h"
#include "kernels/qmatmul/widen.h"

namespace arrowmind::ARROWMIND_ISA {

using qmatmul::kPanel;
using qmatmul::kQuad;
using qmatmul::Params;

constexpr int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
constexpr int64_t ceil_of(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// What a register tile works on.
template <class Form>
struct TileArgs {
  const typename Form::Packed* a;  // [quads][rows][4]
  const char* w;                   // packed weights of the group's first panel, or its decoded chunk
  int64_t panel_bytes;             // from one packed panel to the next
  int64_t quads;                   // whole fours of k
  int64_t tail;                    // 0 to 3 k behind them; float forms only, codes are padded
  typename Form::Vector* sums;     // [rows][panels][Form::kVectors]
  bool first;                      // start from zero instead of `sums`
  const float* w_zero;             // of the group, or null
  const Params* params;            // grid forms: scales of the activations and the weights ..
  int64_t m;                       // .. of these rows,
  int64_t n;                       // these outputs
  int64_t quad;                    // and from this four of k on
  const float* values;             // grid forms: what Form::pack_values laid beside the activations
  const char* next;                // cache lines to ask for on the way, one with each quad
  int64_t next_lines;              // at most `quads` of them are asked for
};

template <class Form>
using Tile = void (*)(const TileArgs<Form>&);

// Splits `total` into `parts` that differ by at most one.
struct EvenSplit {
  int64_t base, extra;
  explicit EvenSplit(int64_t whole) : base(whole), extra(0) {}
  // Counts of rows, of fours of k and of lines, below 2^32: a division of 64 bits takes as long as a row.
  EvenSplit(int64_t total, int64_t parts)
      : base(static_cast<uint32_t>(total) / static_cast<uint32_t>(parts)), extra(total - base * parts) {}
  int64_t size(int64_t part) const { return base + (part < extra ? 1 : 0); }
};

template <class Form>
class Blocking {
 public:
  explicit Blocking(const Params& params) : p_(params) {
    quads_ = Form::quads(p_);
    tail_ = Form::kPadded ? 0 : p_.k % kQuad;
    panel_bytes_ = Form::panel_bytes(p_);
    unit_ = Form::unit(p_);
    prefetches_ = p_.m * p_.c_stride * static_cast<int64_t>(sizeof(float)) > kLargeOutputBytes;
  }

  void run() {
    if (p_.m <= 0 || p_.n_begin >= p_.n_end) return;
    const int64_t packed_row = (quads_ + 1) * kQuad;
    const int64_t row_bytes = packed_row * static_cast<int64_t>(sizeof(typename Form::Packed));
    // A block of activations stays in L2 beside the stream of weights.
    constexpr int64_t kBlockBytes = 512 * 1024;
    int64_t most = kBlockBytes / row_bytes / Form::kRows * Form::kRows;
    most = most < Form::kRows ? Form::kRows : smaller(most, kMaxBlockRows);
    const int64_t blocks = ceil_of(p_.m, most);
    const EvenSplit split(p_.m, blocks);
    row_values_ = row_values();
    units_ = quads_ / unit_;
    unit_values_ = row_values_ == 0 ? 0 : row_values_ / units_;
    const int64_t rows_bytes =
        split.size(0) * (row_bytes + row_values_ * static_cast<int64_t>(sizeof(float)));
    char* scratch = static_cast<char*>(qmatmul::thread_scratch(rows_bytes + 128 + kChunkBytes + kSumBytes));
    sums_ = reinterpret_cast<typename Form::Vector*>(scratch);
    chunk_ = scratch + kSumBytes;
    a_ = reinterpret_cast<typename Form::Packed*>(chunk_ + kChunkBytes);
    values_ = reinterpret_cast<float*>(chunk_ + kChunkBytes + ceil_of(split.size(0) * row_bytes, 64) * 64);
    for (int64_t block = 0, m = 0; block < blocks; m += split.size(block), ++block) {
      run_block(m, split.size(block));
    }
  }

 private:
  static constexpr int64_t kRun = 16;  // quads of one row before the next: whole cache lines on both sides
  static constexpr int64_t kMaxBlockRows = ceil_of(192, Form::kRows) * Form::kRows;
  static constexpr int64_t kLargeOutputBytes = 512 * 1024;
  static constexpr int64_t kVectorBytes = sizeof(typename Form::Vector);
  static constexpr int64_t kSumBytes = kMaxBlockRows * Form::kMaxPanels * Form::kVectors * kVectorBytes;
  // The last chunk may hold a tail beside its whole quads.
  static constexpr int64_t kChunkBytes =
      Form::kDecodes ? (Form::kChunkQuads + 1) * Form::decoded_quad_bytes() : 0;

  // A form packs the rows of a tile together, or a run of quads of one row.
  static constexpr bool kPacksRows = requires(const typename Form::Code* in, typename Form::Packed* out) {
    Form::pack_rows(in, 0, 0, 0, out);
  };

  const typename Form::Code* row_codes(int64_t m) const {
    return static_cast<const typename Form::Code*>(p_.a) + m * p_.a_stride;
  }

  // Whether even a single tile of so many rows has its panels decoded first.
  bool always_decodes(int64_t rows) const {
    if constexpr (requires { Form::always_decodes(p_, rows); }) return Form::always_decodes(p_, rows);
    return Form::kAlwaysDecodes;
  }

  int64_t row_values() const {
    if constexpr (requires { Form::row_values(p_); }) return Form::row_values(p_);
    return 0;
  }

  void run_block(int64_t m, int64_t rows) {
    const int64_t tiles = ceil_of(rows, Form::kRows);
    const EvenSplit split(rows, tiles);
    pack(m, split, tiles);
    const int64_t last = ceil_of(p_.n_end, kPanel);
    const int64_t wide = Form::panels(split.size(0));
    for (int64_t panel = p_.n_begin / kPanel; panel < last;) {
      const int64_t panels = last - panel >= wide ? wide : 1;
      for (int64_t i = 0; i < panels; ++i) PanelEpilogue::prefetch(p_, (panel + i) * kPanel);
      multiply(m, split, tiles, panel, panels);
      for (int64_t i = 0; i < panels; ++i) finish_panel(m, rows, (panel + i) * kPanel, panels, i);
      panel += panels;
    }
  }

  void pack(int64_t m, const EvenSplit& split, int64_t tiles) {
    typename Form::Packed* out = a_;
    [[maybe_unused]] float* values = values_;
    const int64_t quads = quads_ + (tail_ > 0 ? 1 : 0);
    float wide[kRun * kQuad];
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t rows = split.size(tile);
      if constexpr (kPacksRows) {
        Form::pack_rows(row_codes(m), p_.a_stride, quads_, rows, out);
      } else {
        for (int64_t quad = 0; quad < quads_; quad += kRun) {
          for (int64_t row = 0; row < rows; ++row) {
            const int64_t count = smaller(kRun, quads_ - quad);
            Form::pack(elements(m + row, quad, count * kQuad, wide), count, rows,
                       out + (quad * rows + row) * kQuad);
          }
        }
      }
      for (int64_t row = 0; row < rows && tail_ > 0; ++row) {
        const auto* last = elements(m + row, quads_, tail_, wide);
        for (int64_t j = 0; j < tail_; ++j) out[(quads_ * rows + row) * kQuad + j] = last[j];
      }
      out += quads * rows * kQuad;
      if constexpr (requires { Form::row_values(p_); }) {
        Form::pack_values(p_, m, rows, values);
        values += rows * row_values_;
      }
      m += rows;
    }
  }

  // `count` elements of a row from a four of k on: where they lie, or floats of 16 bits widened.
  const typename Form::Code* elements(int64_t row, int64_t quad, int64_t count, float* wide) const {
    const int64_t first = row * p_.a_stride + quad * kQuad;
    if constexpr (std::is_same_v<typename Form::Code, float>) {
      if (p_.a_type != FloatType::kF32) {
        widen(p_.a_type, static_cast<const uint16_t*>(p_.a) + first, count, wide);
        return wide;
      }
    }
    return static_cast<const typename Form::Code*>(p_.a) + first;
  }

  void multiply(int64_t m, const EvenSplit& split, int64_t tiles, int64_t panel, int64_t panels) {
    const bool chunked = tiles > 1 || always_decodes(split.size(0));
    const bool decodes = Form::kDecodes && chunked;
    // (No division for a single row tile: it may have no more to do for a panel than a few of them take.)
    const int64_t chunks = chunked ? ceil_of(quads_, Form::kChunkQuads) : 1;
    const EvenSplit units = chunks <= 1 ? EvenSplit(units_) : EvenSplit(units_, chunks);
    const int64_t turns = EvenSplit(tiles + panels - 1, panels).base;  // of each panel to be fetched
    const auto chunk_quads = [&](int64_t chunk) { return units.size(chunk) * unit_; };
    const int64_t all_quads = quads_ + (tail_ > 0 ? 1 : 0);
    const char* w = static_cast<const char*>(p_.w) + panel * panel_bytes_;
    TileArgs<Form> t{};
    t.panel_bytes = panel_bytes_;
    t.w_zero = p_.w_zero == nullptr ? nullptr : p_.w_zero + panel * kPanel;
    t.params = &p_;
    t.n = panel * kPanel;
    int64_t units_before = 0;
    for (int64_t chunk = 0, quad = 0; chunk < (chunks < 1 ? 1 : chunks); ++chunk) {
      t.quads = chunk_quads(chunk);
      t.tail = quad + t.quads == quads_ ? tail_ : 0;
      t.first = chunk == 0;
      t.quad = quad;
      t.w = w + quad * Form::kQuadBytes;
      if (decodes) {
        Form::decode(t, panels, chunk_);
        t.w = chunk_;
      }
      // The chunk after this one: further along k, or the first of the next panels.
      const bool last = chunk + 1 >= chunks;
      const char* next = last ? w + panels * panel_bytes_ : w + (quad + t.quads) * Form::kQuadBytes;
      const int64_t next_bytes = chunk_quads(last ? 0 : chunk + 1) * Form::kQuadBytes;
      const EvenSplit lines = chunked ? EvenSplit(ceil_of(next_bytes, 64), turns) : EvenSplit(0);
      Prefetches prefetches(next, lines, panels, panel_bytes_);
      const int64_t values_before = unit_values_ * units_before;
      for (int64_t tile = 0, row = 0; tile < tiles; row += split.size(tile), ++tile) {
        const int64_t rows = split.size(tile);
        if (chunked) prefetches.give(t);
        t.a = a_ + (row * all_quads + rows * quad) * kQuad;
        t.values = values_ + row * row_values_ + rows * values_before;
        t.sums = sums_ + row * panels * Form::kVectors;
        t.m = m + row;
        if (prefetches_ && quad + t.quads == quads_) prefetch_outputs(m + row, rows, panel, panels);
        Form::tile(rows, panels, decodes)(t);
      }
      quad += t.quads;
      units_before += units.size(chunk);
    }
  }

  // Each row tile asks for its share of the next chunk, into L2: the chunk comes from memory or the last
  // cache, and would hold up its products if it were asked for by them. Tiles take the panels in turn.
  // (Divisions once for all tiles: one takes as long as several rows of a tile.)
  class Prefetches {
   public:
    Prefetches(const char* next, EvenSplit lines, int64_t panels, int64_t panel_bytes)
        : next_(next), split_(lines), panels_(panels), panel_bytes_(panel_bytes) {}
    void give(TileArgs<Form>& t) {
      t.next = next_ + panel_ * panel_bytes_ + begin_ * kLine;
      t.next_lines = split_.size(part_);
      if (++panel_ < panels_) return;
      begin_ += t.next_lines;
      panel_ = 0;
      ++part_;
    }

   private:
    static constexpr int64_t kLine = 64;
    const char* next_;
    EvenSplit split_;
    int64_t panels_, panel_bytes_;
    int64_t panel_ = 0, part_ = 0, begin_ = 0;
  };

  // Outputs larger than L2 wait for memory at the first store to each of their lines; asked for while the
  // sums are made, they are there when needed (16 to 26 % of a 256 x 1536 output, 1 to 3 % lost where they
  // fit).
  void prefetch_outputs(int64_t m, int64_t rows, int64_t panel, int64_t panels) const {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < panels; ++i) {
        __builtin_prefetch(p_.c + (m + row) * p_.c_stride + (panel + i) * kPanel, 1);
      }
    }
  }

  void finish_panel(int64_t m, int64_t rows, int64_t n, int64_t panels, int64_t i) {
    const PanelEpilogue epilogue(p_, n);
    const typename Form::Finish finish(p_, n);
    const typename Form::Vector* sums = sums_ + i * Form::kVectors;
    epilogue.finish_rows(m, rows, [&](int64_t row) {
      return finish(epilogue, row, sums + (row - m) * panels * Form::kVectors);
    });
  }

  const Params& p_;
  int64_t quads_ = 0;
  int64_t tail_ = 0;
  int64_t unit_ = 1;  // fours of k that stay together
  int64_t panel_bytes_ = 0;
  int64_t units_ = 0;
  int64_t row_values_ = 0, unit_values_ = 0;  // floats
  bool prefetches_ = false;
  typename Form::Vector* sums_ = nullptr;
  char* chunk_ = nullptr;
  typename Form::Packed* a_ = nullptr;
  float* values_ = nullptr;
};

}  // namespace arrowmind::ARROWMIND_ISA
