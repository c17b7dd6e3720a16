#pragma once

// Kernels with work {width, rows} that take an element by itself: a group has 128 columns of 4 rows.

#include "device/gpu/language.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kColumnThreads = 128;
constexpr uint32_t kColumnRows = 4;

// body(row, column) of each element of this thread.
template <class Body>
ARROWMIND_DEVICE void each_row(uint32_t width, uint32_t rows, Body body) {
  const uint32_t column = group_x() * kColumnThreads + thread();
  if (column >= width) return;
  for (uint32_t i = 0; i < kColumnRows; ++i) {
    const uint32_t row = group_y() * kColumnRows + i;
    if (row < rows) body(row, column);
  }
}

}  // namespace arrowmind::device::gpu
