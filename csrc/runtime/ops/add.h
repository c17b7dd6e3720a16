#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// output = output + input, both float32 of one width: a residual that something stands between.
void add_sum(Plan& plan, int input, int output);

}  // namespace arrowmind::runtime
