#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace arrowmind::residency {

// Blocks that somebody guesses will be asked for when their place comes round, and how often such guesses
// were right.
class Expectation {
 public:
  // `places` of all blocks.
  explicit Expectation(std::vector<int64_t> places);

  void add(std::span<const int32_t> blocks);
  bool holds(int32_t block) const { return held_[static_cast<size_t>(block)]; }
  // The place of `used` has its turn: forgets what was expected of it, and returns what was so in vain.
  std::vector<int32_t> settle(std::span<const int32_t> used);
  // Whether as many guesses as not were right of late. What is wrong takes time of the disk from what is
  // right, but only time in which nothing else was asked for.
  bool is_trusted() const { return right_ >= kLeast; }

 private:
  static constexpr double kLeast = 0.5;
  static constexpr double kNewest = 0.1;  // weight of the newest place

  std::vector<int64_t> places_;
  std::vector<bool> held_;
  std::vector<int32_t> list_;
  double right_ = 1;
};

}  // namespace arrowmind::residency
