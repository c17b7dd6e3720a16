#pragma once

#include <vector>

#include "runtime/ops/copy.h"
#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// A matrix of its own for each head: head h reads the `k` columns of a float32 input that begin at
// from.first + h * from.step, and writes its `n` outputs to column to.first + h * to.step on. Columns between
// them stay as they are.
void add_head_linear(Plan& plan, const std::vector<LinearWeights>& heads, int input, int output, Columns from,
                     Columns to);

}  // namespace arrowmind::runtime
