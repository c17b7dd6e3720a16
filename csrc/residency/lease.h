#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "residency/residency.h"

namespace arrowmind::residency {

// Blocks that one forward holds; given back when it ends, however it ends.
class Lease {
 public:
  Lease() = default;
  ~Lease() { give_back(); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Gives back what is held, then waits for `blocks`: whoever waits holds nothing, so that forwards that run
  // at once cannot wait for each other.
  void change(const std::shared_ptr<Residency>& owner, std::span<const int32_t> blocks) {
    give_back();
    owner->acquire(blocks);
    owner_ = owner;
    held_.assign(blocks.begin(), blocks.end());
  }

  void give_back() {
    if (owner_ != nullptr) owner_->release(held_);
    owner_.reset();
  }

 private:
  std::shared_ptr<Residency> owner_;
  std::vector<int32_t> held_;
};

}  // namespace arrowmind::residency
