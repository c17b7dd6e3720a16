#pragma once

// bfloat16 by tiles, in steps of 32 k; weights are interleaved to pairs once for all rows. The order of the
// sums is that of kBf16Tile (qmatmul.h).

#include "kernels/qmatmul/amx_blocking.h"
#include "kernels/qmatmul/bf16_pairs.h"

namespace arrowmind::ARROWMIND_ISA {

struct Bf16Pairs {
  template <class Tiles, int kSums, int kA, int kW>
  static void dot() {
    Tiles::template dot_bf16<kSums, kA, kW>();
  }
};

struct AmxBf16Form {
  static constexpr int64_t kActivationBytes = sizeof(uint16_t);
  static constexpr int64_t kChunk = 512;  // bytes of k
  static constexpr int64_t kValueBytes = 0;

  static int64_t step(const Params& /*p*/) { return kTileRowBytes; }
  static int64_t row_bytes(const Params& p) { return ceil_of(p.k, kQuad) * kQuad * kActivationBytes; }

  static void prepare(AmxArgs& t, int64_t i, char* operands) {
    const int64_t k = t.params->k, first = t.first_step * t.step / kActivationBytes;
    const uint16_t* panel = static_cast<const uint16_t*>(t.params->w) + (t.n / kPanel + i) * k * kPanel;
    interleave_pairs(panel + first * kPanel, k - first, t.steps * kTileRows,
                     reinterpret_cast<uint16_t*>(operands));
    t.w[i] = operands;
  }

  template <class Tiles, int kTiles, int kPanels>
  static void multiply(const AmxArgs& t) {
    amx_chunk<Tiles, Bf16Pairs, kTiles, kPanels>(t);
  }

  static void finish(const PanelEpilogue& epilogue, int64_t m, const char* sums) {
    epilogue.finish(m, epilogue.scale(load(reinterpret_cast<const float*>(sums))));
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
