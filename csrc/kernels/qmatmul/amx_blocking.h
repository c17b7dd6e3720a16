#pragma once

// The loops around tile kernels. A tile of sums is `rows` rows of activations times the sixteen outputs of a
// panel; two tiles of rows and two panels at a time make four sums, each with its own chain of products.
//
//   for blocks of rows                  activations repacked once: [tile][step of k][rows][step], padded with
//                                       zeros to whole tiles and steps, so that one configuration serves all
//     for pairs of panels
//       for chunks of k                 weights as operands, [step of k][step / 4][16][4 bytes]: where they
//       lie
//                                       when they lie like that, else unpacked once for all tiles of rows
//         for pairs of tiles
//       epilogue
//
// A row of 64 bytes of packed int8 weights is a row of a weight tile as it lies.
//
// Form: kStep(p), row_bytes(p), prepare(), multiply<Tiles, kTiles, kPanels>(), finish().

#include <cstring>

#include "kernels/qmatmul/amx_tiles.h"
#include "kernels/qmatmul/blocking.h"

namespace arrowmind::ARROWMIND_ISA {

// What Form::multiply works on: up to two tiles of rows, two panels, one chunk of k.
struct AmxArgs {
  const Params* params;
  const char* a;           // first of the tiles, at the chunk's first step
  int64_t a_tile;          // bytes from one tile of rows to the next
  const char* w[2];        // operands of each panel
  const float* values[2];  // what Form::prepare left beside them
  int64_t rows;            // of a tile
  int64_t step;            // bytes of k
  int64_t steps;           // of the chunk
  int64_t first_step;      // the chunk's, counted from the first of all k
  int64_t m, n;            // first row and output
  char* sums;              // [tile][2][rows][16] of 4 bytes
  char* spill;             // working memory: eight tiles of sums
};

// Products of one step, added to the sums.
template <class Tiles, class Product, int kTiles, int kPanels>
[[gnu::always_inline]] inline void amx_step(const AmxArgs& t, const char* a, const char* const (&w)[2]) {
  Tiles::template load<kWeightTiles>(w[0], kTileRowBytes);
  if constexpr (kPanels > 1) Tiles::template load<kWeightTiles + 1>(w[1], kTileRowBytes);
  Tiles::template load<kActivationTiles>(a, t.step);
  Product::template dot<Tiles, kSumTiles, kActivationTiles, kWeightTiles>();
  if constexpr (kPanels > 1)
    Product::template dot<Tiles, kSumTiles + 1, kActivationTiles, kWeightTiles + 1>();
  if constexpr (kTiles > 1) {
    Tiles::template load<kActivationTiles + 1>(a + t.a_tile, t.step);
    Product::template dot<Tiles, kSumTiles + 2, kActivationTiles + 1, kWeightTiles>();
    if constexpr (kPanels > 1) {
      Product::template dot<Tiles, kSumTiles + 3, kActivationTiles + 1, kWeightTiles + 1>();
    }
  }
}

// `count` steps from step `first` of the chunk on.
template <class Tiles, class Product, int kTiles, int kPanels>
[[gnu::always_inline]] inline void amx_steps(const AmxArgs& t, int64_t first, int64_t count) {
  const int64_t a_step = t.rows * t.step, w_step = t.step / kQuad * kTileRowBytes;
  const char* a = t.a + first * a_step;
  const char* w[2] = {t.w[0] + first * w_step, kPanels > 1 ? t.w[1] + first * w_step : nullptr};
  for (int64_t i = 0; i < count; ++i, a += a_step) {
    amx_step<Tiles, Product, kTiles, kPanels>(t, a, w);
    w[0] += w_step;
    if (kPanels > 1) w[1] += w_step;
  }
}

template <class Tiles, int kTiles, int kPanels>
[[gnu::always_inline]] inline void amx_zero_sums() {
  Tiles::template zero<kSumTiles>();
  if constexpr (kPanels > 1) Tiles::template zero<kSumTiles + 1>();
  if constexpr (kTiles > 1) Tiles::template zero<kSumTiles + 2>();
  if constexpr (kTiles > 1 && kPanels > 1) Tiles::template zero<kSumTiles + 3>();
}

template <class Tiles, int kTiles, int kPanels>
[[gnu::always_inline]] inline void amx_load_sums(const char* sums, int64_t tile_bytes) {
  Tiles::template load<kSumTiles>(sums, kTileRowBytes);
  if constexpr (kPanels > 1) Tiles::template load<kSumTiles + 1>(sums + tile_bytes, kTileRowBytes);
  if constexpr (kTiles > 1) Tiles::template load<kSumTiles + 2>(sums + 2 * tile_bytes, kTileRowBytes);
  if constexpr (kTiles > 1 && kPanels > 1) {
    Tiles::template load<kSumTiles + 3>(sums + 3 * tile_bytes, kTileRowBytes);
  }
}

template <class Tiles, int kTiles, int kPanels>
[[gnu::always_inline]] inline void amx_store_sums(char* sums, int64_t tile_bytes) {
  Tiles::template store<kSumTiles>(sums, kTileRowBytes);
  if constexpr (kPanels > 1) Tiles::template store<kSumTiles + 1>(sums + tile_bytes, kTileRowBytes);
  if constexpr (kTiles > 1) Tiles::template store<kSumTiles + 2>(sums + 2 * tile_bytes, kTileRowBytes);
  if constexpr (kTiles > 1 && kPanels > 1) {
    Tiles::template store<kSumTiles + 3>(sums + 3 * tile_bytes, kTileRowBytes);
  }
}

// All steps of a chunk, for sums that live as long as k.
template <class Tiles, class Product, int kTiles, int kPanels>
inline void amx_chunk(const AmxArgs& t) {
  const int64_t tile_bytes = t.rows * kTileRowBytes;
  if (t.first_step == 0) {
    amx_zero_sums<Tiles, kTiles, kPanels>();
  } else {
    amx_load_sums<Tiles, kTiles, kPanels>(t.sums, tile_bytes);
  }
  amx_steps<Tiles, Product, kTiles, kPanels>(t, 0, t.steps);
  amx_store_sums<Tiles, kTiles, kPanels>(t.sums, tile_bytes);
}

template <class Tiles, class Form>
class AmxBlocking {
 public:
  explicit AmxBlocking(const Params& params)
      : p_(params), step_(Form::step(p_)), steps_(ceil_of(Form::row_bytes(p_), step_)) {}

  void run() {
    if (p_.m <= 0 || p_.n_begin >= p_.n_end) return;
    // Tiles of equal rows: the last ones are at most one row of zeros larger than they need to be.
    const int64_t tiles = ceil_of(p_.m, kTileRows);
    rows_ = ceil_of(p_.m, tiles);
    tile_bytes_ = rows_ * kTileRowBytes;
    a_tile_ = steps_ * rows_ * step_;
    // A block of activations takes half of the L2 cache of the first processors with AMX.
    constexpr int64_t kBlockBytes = 1024 * 1024;
    const int64_t most = kBlockBytes / a_tile_ / 2 * 2;
    const int64_t block = smaller(tiles, most < 2 ? 2 : smaller(most, kMaxTiles));
    char* scratch = static_cast<char*>(qmatmul::thread_scratch(kOperandBytes + kSpillTiles * tile_bytes_ +
                                                               2 * block * tile_bytes_ + block * a_tile_));
    operands_ = scratch;
    spill_ = operands_ + kOperandBytes;
    sums_ = spill_ + kSpillTiles * tile_bytes_;
    a_ = sums_ + 2 * block * tile_bytes_;
    const TileSession<Tiles> session(rows_, step_);
    for (int64_t tile = 0; tile * rows_ < p_.m; tile += block) {
      run_block(tile * rows_, smaller(block, ceil_of(p_.m - tile * rows_, rows_)));
    }
  }

 private:
  static constexpr int64_t kMaxTiles = 12;
  static constexpr int64_t kSpillTiles = 8;
  static constexpr int64_t kPanelOperandBytes = Form::kChunk / kQuad * kTileRowBytes + Form::kValueBytes;
  static constexpr int64_t kOperandBytes = 2 * kPanelOperandBytes;

  void run_block(int64_t m, int64_t tiles) {
    pack(m, tiles);
    const int64_t last = ceil_of(p_.n_end, kPanel);
    for (int64_t panel = p_.n_begin / kPanel; panel < last; panel += 2) {
      const int64_t panels = smaller(2, last - panel);
      multiply(m, tiles, panel, panels);
      for (int64_t i = 0; i < panels; ++i) finish(m, tiles, (panel + i) * kPanel, i);
    }
  }

  // Rows and steps that do not exist are zeros.
  void pack(int64_t m, int64_t tiles) {
    const int64_t bytes = Form::row_bytes(p_);
    const int64_t stride = p_.a_stride * Form::kActivationBytes;
    const char* rows = static_cast<const char*>(p_.a) + m * stride;
    for (int64_t i = 0; i < tiles * rows_; ++i) {
      char* out = a_ + i / rows_ * a_tile_ + i % rows_ * step_;
      for (int64_t k = 0; k < steps_ * step_; k += step_, out += rows_ * step_) {
        const int64_t count = m + i < p_.m ? smaller(step_, bytes - k) : 0;
        if (count > 0) std::memcpy(out, rows + i * stride + k, static_cast<size_t>(count));
        if (count < step_) std::memset(out + count, 0, static_cast<size_t>(step_ - count));
      }
    }
  }

  void multiply(int64_t m, int64_t tiles, int64_t panel, int64_t panels) {
    const int64_t chunk = Form::kChunk / step_;
    AmxArgs t{};
    t.params = &p_;
    t.a_tile = a_tile_;
    t.rows = rows_;
    t.step = step_;
    t.n = panel * kPanel;
    t.spill = spill_;
    for (int64_t step = 0; step < steps_; step += chunk) {
      t.first_step = step;
      t.steps = smaller(chunk, steps_ - step);
      for (int64_t i = 0; i < panels; ++i) Form::prepare(t, i, operands_ + i * kPanelOperandBytes);
      for (int64_t tile = 0; tile < tiles; tile += 2) {
        t.m = m + tile * rows_;
        t.a = a_ + tile * a_tile_ + step * rows_ * step_;
        t.sums = sums_ + 2 * tile * tile_bytes_;
        if (tile + 1 < tiles) {
          panels > 1 ? Form::template multiply<Tiles, 2, 2>(t) : Form::template multiply<Tiles, 2, 1>(t);
        } else {
          panels > 1 ? Form::template multiply<Tiles, 1, 2>(t) : Form::template multiply<Tiles, 1, 1>(t);
        }
      }
    }
  }

  void finish(int64_t m, int64_t tiles, int64_t n, int64_t panel) {
    const PanelEpilogue epilogue(p_, n);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const char* sums = sums_ + (2 * tile + panel) * tile_bytes_;
      for (int64_t i = 0; i < rows_ && m + i < p_.m; ++i) {
        Form::finish(epilogue, m + i, sums + i * kTileRowBytes);
      }
      m += rows_;
    }
  }

  const Params& p_;
  const int64_t step_, steps_;
  int64_t rows_ = 0, tile_bytes_ = 0, a_tile_ = 0;
  char* operands_ = nullptr;
  char* spill_ = nullptr;
  char* sums_ = nullptr;
  char* a_ = nullptr;
};

}  // namespace arrowmind::ARROWMIND_ISA
