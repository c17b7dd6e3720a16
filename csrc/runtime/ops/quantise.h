#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// Rows of a float32 buffer -> a buffer of codes of as many columns
// (kernels/quantise/quantise.h). `multiplier` [columns] scales each column first; null: 1.
void add_quantise(Plan& plan, int input, int output, const float* multiplier = nullptr);

}  // namespace arrowmind::runtime
