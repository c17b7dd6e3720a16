#pragma once

#include "runtime/ops/norm.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// output[t] = cosines | sines of the place of token t in its sequence (kernels/rope/turns.h), once for all
// blocks. `frequencies` has half as many values as the output has columns.
void add_turns(Plan& plan, int output, const float* frequencies, float factor);

// Rotates each piece of `buffer` in place by the turns of its token; a piece is a head. Only the columns that
// turn need to lie within the buffer. `interleaved`: neighbours turn against each other, not halves.
void add_rope(Plan& plan, int buffer, int turns, const Pieces& heads, bool interleaved = false);

}  // namespace arrowmind::runtime
