#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::trellis {

// The trellis codes (kernels/grid/trellis.h) whose levels lie nearest to given values: for each sequence of a
// row, those of least
//
//   sum_k (values[k] * weight[k] - level[k] * (scale[k / group] * weight[k]))^2
//
// by Viterbi's search, which tries every way into each state. Sums are of float32, one step after the other,
// and of equal ones the way from the smallest state wins: the same codes for every kernel. Values that are
// not finite give any codes.
constexpr int64_t kLanes = 16;  // rows that a call takes
constexpr int64_t kStride = 4;  // sequences of a row
constexpr int64_t kMaxK = 1 << 18;

struct Params {
  int bits = 2;                     // of a code: 2 or 3
  int64_t rows = 0, k = 0;          // rows: 1 to kLanes
  const float* values = nullptr;    // [rows, k]
  const float* scales = nullptr;    // [rows, groups]
  int64_t group = 0;                // k of a scale
  const float* weight = nullptr;    // [k], root of what each column's squared error counts; null: 1
  const uint8_t* states = nullptr;  // [rows, kStride] bits of the stream before the first code; null: 0
  uint8_t* codes = nullptr;         // [rows, k]
  float* levels = nullptr;          // [rows, k] what they stand for before the scale
  float* scratch = nullptr;         // [scratch_floats(k)], 64-byte aligned
};

// Two bits have 64 states, three have 16.
constexpr int64_t scratch_floats(int64_t k) {
  return ((k + kStride - 1) / kStride + 1) * 64 * kLanes + k * kLanes;
}

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine.
const Row& select();

}  // namespace arrowmind::trellis
