#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// output = self-attention within each sequence over input = query | key | value, scaled by 1 / sqrt(head
// size).
void add_attention(Plan& plan, int input, int output, int64_t heads);

}  // namespace arrowmind::runtime
