#include "residency/forecast.h"

#include <algorithm>

namespace arrowmind::residency {
namespace {

// Uses since the last one.
class LeastRecent final : public Forecast {
 public:
  explicit LeastRecent(size_t blocks) : last_(blocks) {}

  void note(std::span<const int32_t> blocks) override {
    now_ += 1;
    for (const int32_t block : blocks) last_[static_cast<size_t>(block)] = now_;
  }
  int64_t distance(int32_t block) const override { return now_ - last_[static_cast<size_t>(block)]; }
  double chance(int32_t block) const override { return last_[static_cast<size_t>(block)] > 0 ? 1 : 0; }

 private:
  std::vector<int64_t> last_;
  int64_t now_ = 0;
};

// Expected uses of places until the block is needed (Belady's rule on expectations): places come round in a
// cycle, and a block is used in a part of the rounds that the past tells.
class Farthest final : public Forecast {
 public:
  explicit Farthest(const std::vector<int64_t>& places)
      : place_(places), chance_(places.size(), kUnknown), share_(places.size()), noted_(places.size()) {
    for (size_t block = 0; block < places.size(); ++block) {
      const size_t place = static_cast<size_t>(places[block]);
      if (at_.size() <= place) at_.resize(place + 1);
      at_[place].push_back(block);
    }
  }

  void note(std::span<const int32_t> blocks) override {
    for (const int32_t number : blocks) {
      const size_t block = static_cast<size_t>(number);
      if (place_[block] != now_) pass(place_[block]);
      if (noted_[block]) continue;  // asked for again in parts, in the same round
      noted_[block] = true;
      chance_[block] = std::min(1.0, chance_[block] + kNewest);
      share_[block] = std::min(1.0, share_[block] + kNewest);
    }
  }

  int64_t distance(int32_t number) const override {
    const size_t block = static_cast<size_t>(number);
    const int64_t round = static_cast<int64_t>(at_.size());
    const int64_t next =
        (place_[block] - now_ + round - 1) % round + 1;  // 1 to round: its own is a round away
    return next + static_cast<int64_t>(static_cast<double>(round) * (1 / chance_[block] - 1));
  }

  double chance(int32_t number) const override { return share_[static_cast<size_t>(number)]; }

 private:
  static constexpr double kUnknown = 0.5;
  static constexpr double kNewest = 0.1;  // weight of the newest round
  static constexpr double kRarest = 1.0 / 1024;

  // The turn of all blocks of a place; those that are used gain back what they lose here.
  void pass(int64_t place) {
    now_ = place;
    for (const size_t block : at_[static_cast<size_t>(place)]) {
      noted_[block] = false;
      chance_[block] = std::max(kRarest, chance_[block] * (1 - kNewest));
      share_[block] *= 1 - kNewest;
    }
  }

  std::vector<int64_t> place_;
  std::vector<double> chance_;
  std::vector<double> share_;  // the same without a guess at first
  std::vector<bool> noted_;    // in this round
  std::vector<std::vector<size_t>> at_;
  int64_t now_ = 0;
};

}  // namespace

std::unique_ptr<Forecast> make_forecast(Policy policy, const std::vector<int64_t>& places) {
  if (policy == Policy::kLeastRecent) return std::make_unique<LeastRecent>(places.size());
  return std::make_unique<Farthest>(places);
}

}  // namespace arrowmind::residency
