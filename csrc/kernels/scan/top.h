#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/scan/scan.h"

namespace arrowmind::scan {

// One search: the `top` best rows by (value, then lower row number). The answer is the same for every thread
// count and kernel.
struct Search {
  Codes codes = Codes::kBits;
  Params params;                      // first, count, rows: what is searched; out is not used
  const float* scales = nullptr;      // [rows] kI8: score[i] = float(dot[i]) * (scales[i] * query_scale)
  float query_scale = 1.0f;           // kI8
  const uint8_t* excluded = nullptr;  // bitmap over row numbers, lowest bit first; a set bit skips the row
  int64_t top = 0;
  uint32_t max_distance = 0xffffffffu;  // kBits: farther rows are passed over
  uint32_t offset = 0;                  // added to the numbers of rows that are found
};

// A row and its rank among all rows in one number: the key (smaller is better) above, the row number below.
using Ranked = uint64_t;
uint32_t row_of(Ranked ranked);
int32_t distance_of(Ranked ranked);  // kBits
float score_of(Ranked ranked);       // kI8; a NaN score ranks last and reads as NaN

// Best first, at most `top`. Memory: about 4 * top + 4096 candidates for each thread.
std::vector<Ranked> top_rows(const Search& search, ThreadPool& pool);

// The same of several tables of one kind of codes, as if they were one; `top` and `max_distance` are those of
// the first, and offset + rows must fit in 32 bits.
std::vector<Ranked> top_rows(std::span<const Search> parts, ThreadPool& pool);

// Numbers of the same rows, ascending.
std::vector<uint32_t> near_rows(std::span<const Search> parts, ThreadPool& pool);

// out[i] = score of params.rows[i] (or of row first + i), for kI8.
void dot_scores(const Search& search, float* out);

}  // namespace arrowmind::scan
