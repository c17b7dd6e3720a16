#pragma once

// Codes of a grid times int8 activations by tiles. Codes are unpacked to signed bytes (at most 24, or int8 as
// they are) once for all rows; a tile of sums holds one part of k, and is folded into float sums in the order
// of qmatmul.h. A part is 16, 32, 64 or 128 k: steps are as long, but at most a tile.
//
// Budget: a part of 128 k is at most 128 * 127 * 127 < 2^21 in int32.

#include "kernels/qmatmul/amx_int8_form.h"
#include "kernels/qmatmul/grid_form.h"

namespace arrowmind::ARROWMIND_ISA {

// Ops: load_row, row_and, row_right, row_table, store_row, as in grid_form.h.
template <class Ops, class Codes>
struct AmxGridForm {
  static constexpr int64_t kActivationBytes = 1;
  static constexpr int64_t kChunk = 512;  // a multiple of every block
  static constexpr int kPlanes = Codes::kTraits.planes;
  static constexpr int64_t kShortestPart = 16;
  // A scale and a zero point for each part.
  static constexpr int64_t kValueBytes = 2 * kChunk / kShortestPart * kPanel * sizeof(float);

  static int64_t step(const Params& p) { return smaller(part_of(p.grid.group), kTileRowBytes); }
  static int64_t row_bytes(const Params& p) {
    return ceil_of(p.k, block_of(p.grid.group)) * block_of(p.grid.group);
  }

  static void prepare(AmxArgs& t, int64_t i, char* operands) {
    const Params& p = *t.params;
    const int64_t panel_rows = row_bytes(p) / kQuad * Codes::kTraits.bits / 8;
    const int64_t first = t.first_step * t.step, count = t.steps * t.step;
    const char* packed =
        static_cast<const char*>(p.w) +
        ((t.n / kPanel + i) * panel_rows + first / kQuad * Codes::kTraits.bits / 8) * kTileRowBytes;
    t.w[i] = Codes::kSigned ? packed : operands;
    if constexpr (kInSequence<Codes>) {
      decode_sequence<Ops, Codes>(packed, first == 0, count / kQuad, operands);
    } else if (!Codes::kSigned) {
      unpack(packed, count / kQuad, operands);
    }

    const PanelScales scales(p.grid, Codes::kTraits, p.k, t.n + i * kPanel);
    const int64_t part = part_of(p.grid.group);
    float* values = reinterpret_cast<float*>(operands + kChunk / kQuad * kTileRowBytes);
    t.values[i] = values;
    for (int64_t j = 0; j < count / part; ++j, values += 2 * kPanel) {
      store(values, scales.scale(first / part + j));
      if (!Codes::kSigned) store(values + kPanel, scales.zero_steps(first / part + j));
    }
  }

  template <class Tiles, int kTiles, int kPanels>
  static void multiply(const AmxArgs& t) {
    if (part_of(t.params->grid.group) == block_of(t.params->grid.group)) {
      multiply_blocks<Tiles, kTiles, kPanels, 1>(t);
    } else {
      multiply_blocks<Tiles, kTiles, kPanels, 2>(t);
    }
  }

  static void finish(const PanelEpilogue& epilogue, int64_t m, const char* sums) {
    epilogue.finish(m, load(reinterpret_cast<const float*>(sums)));
  }

 private:
  static void unpack(const char* packed, int64_t quads, char* out) {
    for (int64_t quad = 0; quad < quads; quad += kPlanes) {
      unpack_row(Ops::load_row(packed), out, std::make_integer_sequence<int, kPlanes>{});
      packed += kTileRowBytes;
      out += kPlanes * kTileRowBytes;
    }
  }
  template <int... j>
  static void unpack_row(typename Ops::Row packed, char* out, std::integer_sequence<int, j...> /*planes*/) {
    (Ops::store_row(out + j * kTileRowBytes, Codes::template four<Ops, j>(packed)), ...);
  }

  template <class Tiles, int kTiles, int kPanels, int kParts>
  static void multiply_blocks(const AmxArgs& t) {
    const int64_t tile_bytes = t.rows * kTileRowBytes;
    const int64_t part_steps = part_of(t.params->grid.group) / t.step;
    if (t.first_step == 0) {
      for (int64_t i = 0; i < kTiles * 2; ++i) std::memset(t.sums + i * tile_bytes, 0, tile_bytes);
    }
    for (int64_t block = 0; block * kParts * part_steps < t.steps; ++block) {
      for (int64_t i = 0; i < kParts; ++i) {
        amx_zero_sums<Tiles, kTiles, kPanels>();
        amx_steps<Tiles, SignedBytes, kTiles, kPanels>(t, (block * kParts + i) * part_steps, part_steps);
        amx_store_sums<Tiles, kTiles, kPanels>(t.spill + 4 * i * tile_bytes, tile_bytes);
      }
      for (int64_t i = 0; i < kTiles; ++i) {
        for (int64_t j = 0; j < kPanels; ++j) fold<kParts>(t, block, i, j);
      }
    }
  }

  // Adds a block of k to the sums of tile i and panel j.
  template <int kParts>
  static void fold(const AmxArgs& t, int64_t block, int64_t i, int64_t j) {
    const Params& p = *t.params;
    const int64_t tile_bytes = t.rows * kTileRowBytes, m = t.m + i * t.rows;
    const int64_t blocks = row_bytes(p) / block_of(p.grid.group);
    const int64_t at = t.first_step * t.step / block_of(p.grid.group) + block;
    const char* acc = t.spill + (2 * i + j) * tile_bytes;
    char* sums = t.sums + (2 * i + j) * tile_bytes;
    const float* values = t.values[j] + block * kParts * 2 * kPanel;
    for (int64_t r = 0; r < t.rows && m + r < p.m; ++r, acc += kTileRowBytes, sums += kTileRowBytes) {
      F32x16 value;
      for (int part = 0; part < kParts; ++part) {
        F32x16 real = load_i32(reinterpret_cast<const int32_t*>(acc + 4 * part * tile_bytes));
        if constexpr (!Codes::kSigned) {
          const float sum = static_cast<float>(p.a_sum[((m + r) * blocks + at) * kParts + part]);
          real = fma(load(values + (2 * part + 1) * kPanel), set1(-Codes::kTraits.zero_step * sum), real);
        }
        const F32x16 scale = load(values + 2 * part * kPanel);
        value = part == 0 ? real * scale : fma(real, scale, value);
      }
      float* out = reinterpret_cast<float*>(sums);
      store(out, fma(value, set1(p.a_scale[(m + r) * blocks + at]), load(out)));
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
