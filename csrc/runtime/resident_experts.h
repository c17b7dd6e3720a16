#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "residency/residency.h"
#include "runtime/experts.h"

namespace arrowmind::runtime {

struct ResidentOptions {
  std::vector<int32_t> blocks;  // of each expert
  std::vector<int32_t> ahead;   // of the experts of the next layers, which may be read while these compute
  double threshold = 1;         // of these, those that more than this share of the last rounds used
  bool together = false;        // wait for all that fit: nothing is read while others compute
};

// Experts that come and go: expert i is block blocks[i] of a residency. Those that are there are given first
// come, while the others are read.
class ResidentExperts final : public ExpertSource {
 public:
  ResidentExperts(std::vector<ExpertWeights> experts, std::shared_ptr<residency::Residency> residency,
                  ResidentOptions options)
      : experts_(std::move(experts)), residency_(std::move(residency)), options_(std::move(options)) {}

  int64_t experts() const override { return static_cast<int64_t>(experts_.size()); }
  const ExpertWeights& description(int64_t expert) const override {
    return experts_.at(static_cast<size_t>(expert));
  }
  size_t acquire(std::span<const int32_t> ids, const ExpertWeights** table) override {
    for (size_t i = 0; i < ids.size(); ++i) table[i] = &experts_[static_cast<size_t>(ids[i])];
    const size_t count = residency_->acquire_first(blocks_of(ids), options_.together);
    // Behind the reads of this layer, once nothing of it is left to ask for.
    if (count == ids.size() && !options_.ahead.empty()) {
      residency_->prefetch_likely(options_.ahead, options_.threshold);
    }
    return count;
  }
  void release(std::span<const int32_t> ids) noexcept override { residency_->release(blocks_of(ids)); }

 private:
  std::vector<int32_t> blocks_of(std::span<const int32_t> ids) const {
    std::vector<int32_t> found;
    found.reserve(ids.size());
    for (const int32_t id : ids) found.push_back(options_.blocks[static_cast<size_t>(id)]);
    return found;
  }

  std::vector<ExpertWeights> experts_;
  std::shared_ptr<residency::Residency> residency_;
  ResidentOptions options_;
};

}  // namespace arrowmind::runtime
