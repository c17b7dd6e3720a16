#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// buffer[t] += table[place of t in its sequence]; `table` has `rows` rows as wide as the buffer, at least
// Limits::max_length, and lives as long as the plan.
void add_positions(Plan& plan, int buffer, const float* table, int64_t rows);

// Columns [to, to + width) of output[t] = columns [from, from + width) of input[t - 1], zeros at the first
// row of a sequence. What a convolution over rows needs of the row before.
void add_previous(Plan& plan, int input, int output, int64_t width, int64_t from, int64_t to);

}  // namespace arrowmind::runtime
