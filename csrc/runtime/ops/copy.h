#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// Columns of a buffer: `count` pieces of `width` columns, the first at `first`, `step` apart.
struct Columns {
  int64_t first = 0;
  int64_t step = 0;
};

// Throws Error(kWeight) unless the pieces lie in a float32 buffer.
void check_columns(const Plan& plan, int buffer, int64_t width, int64_t count, Columns columns,
                   const char* what);

// Copies pieces of one float32 buffer to places of another; a step of 0 reads one piece again and again.
// Other columns of the output stay: whoever reads them has them written by others.
void add_copy(Plan& plan, int input, int output, int64_t width, int64_t count, Columns from, Columns to);

// Zeros instead.
void add_clear(Plan& plan, int output, int64_t width, int64_t count, Columns to);

}  // namespace arrowmind::runtime
