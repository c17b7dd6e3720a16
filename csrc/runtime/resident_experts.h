#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "residency/residency.h"
#include "runtime/experts.h"

namespace arrowmind::runtime {

struct ResidentOptions {
  std::vector<int32_t> blocks;  // of each expert
  std::vector<int32_t> ahead;   // of the experts of the next layers, which may be read while these compute
  std::vector<int32_t> next;    // of each expert of the feed-forward whose experts are guessed here
  double threshold = 1;         // of `ahead`, those that more than this share of the last rounds used
  bool together = false;        // wait for all that fit: nothing is read while others compute
};

// Experts that come and go: expert i is block blocks[i] of a residency. Those that are there are given first
// come, while the others are read.
class ResidentExperts final : public ExpertSource {
 public:
  // What `experts` say of codes that come and go are addresses in the residency's file.
  ResidentExperts(std::vector<ExpertWeights> experts, std::shared_ptr<residency::Residency> residency,
                  ResidentOptions options);

  int64_t experts() const override { return static_cast<int64_t>(experts_.size()); }
  const ExpertWeights& description(int64_t expert) const override {
    return experts_.at(static_cast<size_t>(expert));
  }
  size_t acquire(std::span<const int32_t> ids, const ExpertWeights** table) override;
  void release(std::span<const int32_t> ids) noexcept override;
  void expect_next(std::span<const int32_t> ids) override;
  bool lend(int32_t expert) override { return residency_->lend(block(expert)); }
  void take_back(int32_t expert) noexcept override { residency_->take_back(block(expert)); }
  const void* find(int32_t expert, const void* described) const override;
  bool is_short() const override { return residency_->is_short(); }
  void pass_over(std::span<const int32_t> ids, bool whole) override;

 private:
  int32_t block(int32_t expert) const { return options_.blocks[static_cast<size_t>(expert)]; }
  void find_matrices(int32_t expert);

  std::vector<ExpertWeights> experts_;  // as they are described
  std::vector<ExpertWeights> there_;    // where they lie; those that are acquired do not change
  std::vector<const uint8_t*> places_;  // of their gates, when this was written
  std::mutex mutex_;                    // of both
  std::shared_ptr<residency::Residency> residency_;
  ResidentOptions options_;
};

}  // namespace arrowmind::runtime
