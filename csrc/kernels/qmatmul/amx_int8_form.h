#pragma once

// Codes times codes by tiles: signed bytes on both sides, so that nothing is biased. Sums are the contract's
// own, exact in int32 (qmatmul.h).

#include "kernels/qmatmul/amx_blocking.h"

namespace arrowmind::ARROWMIND_ISA {

struct SignedBytes {
  template <class Tiles, int kSums, int kA, int kW>
  static void dot() {
    Tiles::template dot_i8<kSums, kA, kW>();
  }
};

struct AmxInt8Form {
  static constexpr int64_t kActivationBytes = 1;
  // 512 k of two panels are 16 KB, beside as much of two tiles of activations.
  static constexpr int64_t kChunk = 512;
  static constexpr int64_t kValueBytes = 0;

  static int64_t step(const Params& /*p*/) { return kTileRowBytes; }
  static int64_t row_bytes(const Params& p) { return ceil_of(p.k, kQuad) * kQuad; }

  // Operands lie in the packed weights, but for the last rows of a panel, which do not fill a tile.
  static void prepare(AmxArgs& t, int64_t i, char* operands) {
    const int64_t quads = ceil_of(t.params->k, kQuad);
    const int64_t first = t.first_step * kTileRows, wanted = t.steps * kTileRows;
    const char* panel = static_cast<const char*>(t.params->w) + (t.n / kPanel + i) * quads * kTileRowBytes;
    t.w[i] = panel + first * kTileRowBytes;
    if (quads - first >= wanted) return;
    const size_t held = static_cast<size_t>((quads - first) * kTileRowBytes);
    std::memcpy(operands, t.w[i], held);
    std::memset(operands + held, 0, static_cast<size_t>(wanted * kTileRowBytes) - held);
    t.w[i] = operands;
  }

  template <class Tiles, int kTiles, int kPanels>
  static void multiply(const AmxArgs& t) {
    amx_chunk<Tiles, SignedBytes, kTiles, kPanels>(t);
  }

  static void finish(const PanelEpilogue& epilogue, int64_t m, const char* sums) {
    epilogue.finish(m, epilogue.dequantise(m, load_i32(reinterpret_cast<const int32_t*>(sums))));
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
