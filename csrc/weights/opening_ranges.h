#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weights/weight_table.h"

namespace arrowmind::weights {

// Offset and size of what opening a model reads of its file in any case, in file order: all that is no code,
// and codes. Without a bound of memory those that are multiplied by; within one (`bounded`) those that stay:
// of a model with experts all but theirs, of another those of tables and of a head. Names decide, so this is
// for advice alone.
std::vector<std::pair<int64_t, int64_t>> opening_ranges(const WeightTable& table, bool bounded);

// Has the system read these of the file at `path`, and returns them when they are there; none where the index
// is not sound. Errors as of ArrowFile::open() and WeightTable.
std::vector<std::pair<int64_t, int64_t>> read_for_opening(const std::string& path, bool bounded);

}  // namespace arrowmind::weights
