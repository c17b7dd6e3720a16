#include "residency/expectation.h"

#include <algorithm>
#include <utility>

namespace arrowmind::residency {

Expectation::Expectation(std::vector<int64_t> places) : places_(std::move(places)), held_(places_.size()) {}

void Expectation::add(std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) {
    if (holds(block)) continue;
    held_[static_cast<size_t>(block)] = true;
    list_.push_back(block);
  }
}

std::vector<int32_t> Expectation::settle(std::span<const int32_t> used) {
  if (list_.empty() || used.empty()) return {};
  const int64_t place = places_[static_cast<size_t>(used[0])];
  std::vector<int32_t> left, in_vain;
  double right = 0, wrong = 0;
  for (const int32_t block : list_) {
    if (places_[static_cast<size_t>(block)] != place) {
      left.push_back(block);
      continue;
    }
    held_[static_cast<size_t>(block)] = false;
    if (std::find(used.begin(), used.end(), block) != used.end()) {
      right += 1;
    } else {
      wrong += 1;
      in_vain.push_back(block);
    }
  }
  list_ = std::move(left);
  if (right + wrong > 0) right_ += kNewest * (right / (right + wrong) - right_);
  return in_vain;
}

}  // namespace arrowmind::residency
