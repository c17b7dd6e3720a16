#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::rope {

// Rotary positions: in each head of each row, elements i and i + rotated / 2 turn together by the row's angle
// number i; elements from `rotated` on stay.
//   x[i]               = x[i] * cos[i] - x[i + rotated / 2] * sin[i]
//   x[i + rotated / 2] = x[i + rotated / 2] * cos[i] + x[i] * sin[i]        products rounded, then the sum
// Interleaved: elements 2 i and 2 i + 1 turn together instead.

struct Params {
  float* x = nullptr;    // [rows, heads * head_dim], turned in place
  int64_t x_stride = 0;  // elements between rows
  int64_t heads = 0, head_dim = 0;
  int64_t rotated = 0;  // even, at most head_dim
  bool interleaved = false;
  const float* turns = nullptr;  // [rows, rotated]: rotated / 2 cosines, then as many sines
  int64_t turns_stride = 0;
  int64_t begin = 0, end = 0;  // rows this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every shape.
const Row& select();

}  // namespace arrowmind::rope
