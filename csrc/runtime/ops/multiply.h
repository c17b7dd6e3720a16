#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// output = input * multiplier, column by column; all float32. For matrices that expect scaled inputs and take
// them unquantised.
void add_multiply(Plan& plan, int input, int output, const float* multiplier);

}  // namespace arrowmind::runtime
