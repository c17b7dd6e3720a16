#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "arrow/column.h"

namespace arrowmind::residency {

// Whole pages of a file: bytes [begin, end).
struct Pages {
  int64_t begin, end;
};

// The pages that hold a range.
Pages pages_of(arrow::FileRange range);
// The same pages, each once, ascending.
std::vector<Pages> merged(std::span<const Pages> parts);
int64_t bytes_of(std::span<const Pages> parts);

// Makes the pages of blocks and what is pinned disjoint: a page that two of them touch is pinned. `blocks`
// are the parts of each; `path` names the file in errors. Throws Error(kInvalidArgument) when blocks overlap
// by more than a page, or something pinned lies inside a block.
void cut_seams(std::span<std::vector<Pages>* const> blocks, std::vector<Pages>& pinned,
               const std::string& path);

}  // namespace arrowmind::residency
