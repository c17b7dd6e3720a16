#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "residency/residency.h"
#include "runtime/experts.h"

namespace arrowmind::runtime {

// Experts that come and go: expert i is block blocks[i] of a residency. Those that are there are given first
// come, while the others are read.
class ResidentExperts final : public ExpertSource {
 public:
  ResidentExperts(std::vector<ExpertWeights> experts, std::shared_ptr<residency::Residency> residency,
                  std::vector<int32_t> blocks)
      : experts_(std::move(experts)), residency_(std::move(residency)), blocks_(std::move(blocks)) {}

  int64_t experts() const override { return static_cast<int64_t>(experts_.size()); }
  const ExpertWeights& description(int64_t expert) const override {
    return experts_.at(static_cast<size_t>(expert));
  }
  size_t acquire(std::span<const int32_t> ids, const ExpertWeights** table) override {
    for (size_t i = 0; i < ids.size(); ++i) table[i] = &experts_[static_cast<size_t>(ids[i])];
    return residency_->acquire_first(blocks_of(ids));
  }
  void release(std::span<const int32_t> ids) noexcept override { residency_->release(blocks_of(ids)); }

 private:
  std::vector<int32_t> blocks_of(std::span<const int32_t> ids) const {
    std::vector<int32_t> found;
    found.reserve(ids.size());
    for (const int32_t id : ids) found.push_back(blocks_[static_cast<size_t>(id)]);
    return found;
  }

  std::vector<ExpertWeights> experts_;
  std::shared_ptr<residency::Residency> residency_;
  std::vector<int32_t> blocks_;
};

}  // namespace arrowmind::runtime
