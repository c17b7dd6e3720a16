#include "runtime/ops/routed_rows.h"

#include <algorithm>

#include "base/error.h"

namespace arrowmind::runtime {
namespace {

RoutedRows lists(const Slot& route, int64_t tokens, int64_t top, int64_t experts, float* memory) {
  RoutedRows rows{.route = route, .top = top, .rows = tokens * top};
  rows.table = reinterpret_cast<const ExpertWeights**>(memory);
  rows.starts = reinterpret_cast<int32_t*>(rows.table + experts);
  int32_t* active = rows.starts + experts + 1;
  rows.order = active + experts;
  rows.places = rows.order + rows.rows;
  rows.active = {active, 0};
  return rows;
}

}  // namespace

RoutedRows sort_rows(const Slot& route, int64_t tokens, int64_t top, int64_t experts, float* memory) {
  RoutedRows sorted = lists(route, tokens, top, experts, memory);
  std::fill(sorted.starts, sorted.starts + experts + 1, 0);
  for (int64_t row = 0; row < sorted.rows; ++row) {
    const float number = sorted.number_of(row);
    if (!(number >= 0.0f && number < static_cast<float>(experts))) {  // a NaN is none either
      fail(ErrorKind::kInvalidArgument, "a row is sent to expert ", number, " of ", experts);
    }
    ++sorted.starts[static_cast<int32_t>(number) + 1];
  }
  size_t active = 0;
  for (int32_t i = 0; i < experts; ++i) {
    if (sorted.starts[i + 1] > 0) sorted.active.data()[active++] = i;
    sorted.starts[i + 1] += sorted.starts[i];
  }
  sorted.active = {sorted.active.data(), active};
  for (int64_t row = 0; row < sorted.rows; ++row) {
    const int32_t place = sorted.starts[sorted.expert_of(row)]++;
    sorted.order[place] = static_cast<int32_t>(row);
    sorted.places[row] = place;
  }
  for (int64_t i = experts; i > 0; --i) sorted.starts[i] = sorted.starts[i - 1];
  sorted.starts[0] = 0;
  return sorted;
}

}  // namespace arrowmind::runtime
