#pragma once

#include <cstdint>
#include <span>

#include "kernels/grid/grid.h"
#include "kernels/registry.h"

namespace arrowmind::embed {

// out[t] = (word[token[t]] + position[position_id[t]]) + type[type_id[t]]        float32, in this order
// Tables are row-major; each has its own element type:
//   kF32, kF16, kBf16   the value         kI8   (code - zero[row]) * scale[row]
//   kI8Grid, kI4Grid, kI2Grid, kFp4Grid   (level(code) - zero[group]) * scale[group]     kernels/grid/grid.h

enum class Element : uint8_t { kF32, kF16, kBf16, kI8, kI8Grid, kI4Grid, kI2Grid, kFp4Grid };

struct Table {
  const void* data = nullptr;  // [rows, width]; null: this table is not added
  Element element = Element::kF32;
  int64_t rows = 0;
  const float* scale = nullptr;  // [rows], kI8
  const float* zero = nullptr;   // [rows] zero points (whole numbers), kI8; null when symmetric
  grid::Grid grid;               // row-major, of tables on a grid
};

struct Params {
  Table word, position, type;
  const int32_t* token = nullptr;        // [tokens]
  const int32_t* position_id = nullptr;  // [tokens]
  const int32_t* type_id = nullptr;      // [tokens]; null: row 0 for all
  int64_t width = 0;
  float* out = nullptr;  // [tokens, width]
  int64_t out_stride = 0;
  int64_t begin = 0, end = 0;  // tokens this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every element type and width.
const Row& select();

// Kernels trust their ids. Throws Error(kInvalidArgument) naming `what`, the place and the id unless every id
// lies in [0, rows).
void check_ids(const int32_t* ids, int64_t count, int64_t rows, std::string_view what);

}  // namespace arrowmind::embed
