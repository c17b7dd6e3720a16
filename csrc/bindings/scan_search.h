#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "bindings/arrays.h"
#include "bindings/bindings.h"
#include "kernels/scan/scan.h"
#include "kernels/scan/top.h"

// What searches of one table and of several have in common.

namespace arrowmind::bindings {

using RowList = std::optional<Vector<const uint32_t>>;
using Bitmap = std::optional<Vector<const uint8_t>>;

inline void require(bool condition, std::string_view what) {
  require("scan", condition, what);
}

// One pool for each thread count ever asked for, kept until the process ends: a search must not pay for
// starting threads, and callers on many Python threads share them.
ThreadPool& pool_of(int threads);

// Codes [n, row_bytes] with what is asked of them; checks everything a kernel takes on trust.
template <typename T>
scan::Search make_search(scan::Codes form, const Matrix<const T>& codes, const RowList& rows,
                         const Bitmap& excluded) {
  const int64_t n = extent(codes, 0);
  require(n <= int64_t{0xffffffff}, "more than 2^32 - 1 rows; search them in parts");
  require(extent(codes, 1) <= scan::kMaxRowBytes, "rows are longer than 65536 bytes");
  require(!excluded || static_cast<int64_t>(excluded->size()) >= ceil_div(n, 8), "excluded has too few bits");
  if (rows) {
    for (size_t i = 0; i < rows->size(); ++i) require(rows->data()[i] < n, "a row number is out of range");
  }
  scan::Search search;
  search.codes = form;
  search.params.codes = reinterpret_cast<const uint8_t*>(codes.data());
  search.params.row_bytes = extent(codes, 1);
  search.params.rows = rows ? rows->data() : nullptr;
  search.params.count = rows ? static_cast<int64_t>(rows->size()) : n;
  search.excluded = excluded ? excluded->data() : nullptr;
  return search;
}

}  // namespace arrowmind::bindings
