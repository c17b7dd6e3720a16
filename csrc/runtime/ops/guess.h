#pragma once

#include <cstdint>
#include <vector>

#include "runtime/execution.h"

namespace arrowmind::runtime {

// The experts that routes name, those of most rows first, and of as many rows those with the smallest sum of
// ranks. What is no expert is left out: a guess may be wrong.
std::vector<int32_t> most_wanted(const Slot& routes, int64_t rows, int64_t top, int64_t experts);

}  // namespace arrowmind::runtime
