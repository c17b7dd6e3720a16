#pragma once

#include "kernels/pool/pool.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// One vector per sequence, written to the result of the plan; the last op.
void add_pool(Plan& plan, int input, pool::Mode mode);

}  // namespace arrowmind::runtime
