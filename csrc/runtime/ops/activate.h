#pragma once

#include "kernels/activate/activate.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// output = f(gate) * up over input = gate | up, twice as wide as the output. `cap` is for Kind::kCap alone.
// Without a gate: output = f(input), of equal width; the two may be the same buffer.
void add_activate(Plan& plan, activate::Kind kind, float cap, int input, int output);

}  // namespace arrowmind::runtime
