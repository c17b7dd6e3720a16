#pragma once

// The tile instructions, one function each, and the places of tiles in the kernels over them. Kernels take
// the functions as a template argument: tests compile the same kernels over a software model of them.

#include <cstdint>

namespace arrowmind::ARROWMIND_ISA {

// The operand of ldtilecfg, palette 1: tiles of at most 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Sums of tile i of rows and panel j are in tile 2 i + j, activations of tile i in 4 + i, weights of panel j
// in 6 + j.
constexpr int kSumTiles = 0, kActivationTiles = 4, kWeightTiles = 6, kAllTiles = 8;
constexpr int64_t kTileRows = 16, kTileRowBytes = 64;

// Tiles of `rows` rows of activations with `step` bytes of each. Every thread has tiles of its own, and
// configures them for one call: unconfigured, they cost nothing when threads are switched.
template <class Tiles>
class TileSession {
 public:
  TileSession(int64_t rows, int64_t step) {
    TileConfig config;
    for (int tile = 0; tile < kAllTiles; ++tile) {
      const bool weights = tile >= kWeightTiles, sums = tile < kActivationTiles;
      config.rows[tile] = static_cast<uint8_t>(weights ? step / 4 : rows);
      config.row_bytes[tile] = static_cast<uint16_t>(weights || sums ? kTileRowBytes : step);
    }
    Tiles::configure(config);
  }
  ~TileSession() { Tiles::release(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

#if defined(__x86_64__)
struct AmxTiles {
  static void configure(const TileConfig& config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
  }
  static void release() { __asm__ volatile("tilerelease"); }
  template <int kTile>
  static void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  // Rows lie `stride` bytes apart.
  template <int kTile>
  static void load(const void* p, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  static void store(void* p, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  // sums += activations x weights, signed bytes in fours of k.
  template <int kSums, int kA, int kW>
  static void dot_i8() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kA), "i"(kW));
  }
  // The same for pairs of bfloat16, in float32 (kBf16Tile in qmatmul.h).
  template <int kSums, int kA, int kW>
  static void dot_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kA), "i"(kW));
  }
};
#endif

}  // namespace arrowmind::ARROWMIND_ISA
