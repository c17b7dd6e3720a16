#include "runtime/ops/guess.h"

#include <algorithm>
#include <numeric>

namespace arrowmind::runtime {

std::vector<int32_t> most_wanted(const Slot& routes, int64_t rows, int64_t top, int64_t experts) {
  // A row is worth more than all ranks together, and a better rank a little more.
  std::vector<int64_t> votes(static_cast<size_t>(experts));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t rank = 0; rank < top; ++rank) {
      const float number = routes.f32()[row * routes.stride + rank];
      if (!(number >= 0.0f && number < static_cast<float>(experts))) continue;
      votes[static_cast<size_t>(number)] += (rows * top + 1) * top + top - rank;
    }
  }
  std::vector<int32_t> found(votes.size());
  std::iota(found.begin(), found.end(), 0);
  std::erase_if(found, [&](int32_t expert) { return votes[static_cast<size_t>(expert)] == 0; });
  std::stable_sort(found.begin(), found.end(), [&](int32_t a, int32_t b) {
    return votes[static_cast<size_t>(a)] > votes[static_cast<size_t>(b)];
  });
  return found;
}

}  // namespace arrowmind::runtime
