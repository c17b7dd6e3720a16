#pragma once

// The tile instructions in software, bit for bit as the processor's manual defines them, in place of AmxTiles
// (kernels/qmatmul/amx_tiles.h). What the processor refuses ends the test with an error. Each thread has
// tiles of its own, as on the processor.

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "kernels/qmatmul/amx_tiles.h"

namespace arrowmind::ARROWMIND_ISA {

class ModelTiles {
 public:
  static void configure(const TileConfig& config) {
    require(config.palette == 1 && config.start_row == 0, "palette 1 and no row to start from");
    for (int i = 0; i < 16; ++i) {
      require(config.rows[i] <= kTileRows && config.row_bytes[i] <= kTileRowBytes, "tiles of 16 x 64 bytes");
      require(i < kAllTiles || (config.rows[i] == 0 && config.row_bytes[i] == 0), "eight tiles");
      require((config.rows[i] == 0) == (config.row_bytes[i] == 0), "rows and bytes, or neither");
    }
    state() = State{};
    state().config = config;
    state().configured = true;
  }
  static void release() { state() = State{}; }
  static bool is_configured() { return state().configured; }

  template <int kTile>
  static void zero() {
    check(kTile);
    std::memset(state().tiles[kTile], 0, sizeof(Tile));
  }
  template <int kTile>
  static void load(const void* p, int64_t stride) {
    zero<kTile>();
    for (int64_t row = 0; row < rows(kTile); ++row) {
      std::memcpy(state().tiles[kTile][row], static_cast<const char*>(p) + row * stride, row_bytes(kTile));
    }
  }
  template <int kTile>
  static void store(void* p, int64_t stride) {
    check(kTile);
    for (int64_t row = 0; row < rows(kTile); ++row) {
      std::memcpy(static_cast<char*>(p) + row * stride, state().tiles[kTile][row], row_bytes(kTile));
    }
  }
  template <int kSums, int kA, int kW>
  static void dot_i8() {
    check_product(kSums, kA, kW);
    const size_t outputs = row_bytes(kSums) / 4;
    for (int64_t m = 0; m < rows(kSums); ++m) {
      uint32_t sums[kTileRowBytes / 4];  // wrap around
      std::memcpy(sums, state().tiles[kSums][m], sizeof(sums));
      for (size_t k = 0; k < row_bytes(kA); ++k) {
        const int32_t a = static_cast<int8_t>(state().tiles[kA][m][k]);
        const uint8_t* w = state().tiles[kW][k / 4] + k % 4;
        for (size_t n = 0; n < outputs; ++n) {
          sums[n] += static_cast<uint32_t>(a * static_cast<int8_t>(w[4 * n]));
        }
      }
      std::memcpy(state().tiles[kSums][m], sums, sizeof(sums));
    }
  }
  template <int kSums, int kA, int kW>
  static void dot_bf16() {
    check_product(kSums, kA, kW);
    const Numbers a = numbers(kA), w = numbers(kW);
    for (int64_t m = 0; m < rows(kSums); ++m) {
      for (size_t n = 0; n < row_bytes(kSums) / 4; ++n) {
        float even = 0.0f, odd = 0.0f, sum;
        for (size_t k = 0; k < row_bytes(kA) / 4; ++k) {
          even = flushed(std::fma(a.at[m][2 * k], w.at[k][2 * n], even));
          odd = flushed(std::fma(a.at[m][2 * k + 1], w.at[k][2 * n + 1], odd));
        }
        std::memcpy(&sum, state().tiles[kSums][m] + 4 * n, 4);
        sum = flushed(flushed(sum) + flushed(even + odd));
        std::memcpy(state().tiles[kSums][m] + 4 * n, &sum, 4);
      }
    }
  }

 private:
  using Tile = uint8_t[kTileRows][kTileRowBytes];
  struct State {
    bool configured = false;
    TileConfig config;
    Tile tiles[kAllTiles] = {};
  };

  static State& state() {
    static thread_local State of_this_thread;
    return of_this_thread;
  }
  static int64_t rows(int tile) { return state().config.rows[tile]; }
  static size_t row_bytes(int tile) { return state().config.row_bytes[tile]; }
  // Numbers below 2^-126 are zeros to the unit of tiles.
  static float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
  // A tile of bfloat16.
  struct Numbers {
    float at[kTileRows][kTileRowBytes / 2];
  };
  static Numbers numbers(int tile) {
    Numbers all;
    uint16_t row[kTileRowBytes / 2];
    for (int64_t m = 0; m < kTileRows; ++m) {
      std::memcpy(row, state().tiles[tile][m], sizeof(row));
      for (int64_t i = 0; i < kTileRowBytes / 2; ++i) all.at[m][i] = flushed(bfloat_to_float(row[i]));
    }
    return all;
  }
  static void require(bool met, const char* rule) {
    if (!met) fail(ErrorKind::kKernel, "the processor refuses this use of tiles: ", rule);
  }
  static void check(int tile) {
    require(state().configured, "tiles are configured first");
    require(rows(tile) > 0, "a tile that is used has rows");
  }
  static void check_product(int sums, int a, int w) {
    for (const int tile : {sums, a, w}) check(tile);
    require(sums != a && sums != w && a != w, "three tiles");
    require(rows(sums) == rows(a), "sums have a row for each row of activations");
    require(row_bytes(sums) == row_bytes(w), "sums have a column for each output");
    require(row_bytes(a) == static_cast<size_t>(4 * rows(w)), "weights have a row for every 4 bytes of k");
    require(row_bytes(a) % 4 == 0 && row_bytes(sums) % 4 == 0, "whole fours of bytes");
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
