// Who makes room for others, and when.

#include <utility>

#include "base/error.h"
#include "residency/residency.h"

namespace arrowmind::residency {
namespace {

constexpr int64_t kNever = INT64_MAX;  // when a block is needed again

}  // namespace

// Waits, holding nothing, until all of them fit beside what others lease.
void Residency::wait_for_room(std::unique_lock<std::mutex>& lock, std::span<const int32_t> blocks) {
  while (true) {
    int64_t all = counters_.pinned_bytes;
    int64_t missing = 0;
    for (const int32_t id : blocks) {
      const Block& block = blocks_[static_cast<size_t>(id)];
      all += block.extent.bytes;
      if (block.state == State::kAbsent) missing += block.extent.bytes;
    }
    if (all > memory_.budget()) {
      fail(ErrorKind::kBudget, "parts of ", all, " bytes are needed together, and the budget is ",
           memory_.budget(), "; give a budget of at least ", all);
    }
    if (memory_.fits(missing - evictable(blocks))) return;
    ++waiting_;
    changed_.wait(lock);
    --waiting_;
  }
}

// Evicts until `bytes` more fit; only what is needed later than `beyond`.
bool Residency::make_room(int64_t bytes, int64_t beyond) {
  while (!memory_.fits(bytes)) {
    const int victim = farthest(beyond);
    if (victim < 0) return false;
    evict(blocks_[static_cast<size_t>(victim)]);
  }
  memory_.trim();
  return true;
}

// The block that can go and is needed last, later than `beyond`; -1 without one.
int Residency::farthest(int64_t beyond) const {
  int found = -1;
  for (const Block& block : blocks_) {
    if (block.state != State::kResident || block.leases > 0 || block.extent.bytes == 0) continue;
    const auto id = static_cast<int32_t>(&block - blocks_.data());
    const int64_t expected = expected_->holds(id) ? kExpected : forecast_->distance(id);
    const int64_t away = block.retired ? kNever : expected;
    if (away <= beyond) continue;
    beyond = away;
    found = id;
  }
  return found;
}

int64_t Residency::evictable(std::span<const int32_t> except) const {
  int64_t bytes = 0;
  for (const Block& block : blocks_) {
    if (block.state == State::kResident && block.leases == 0) bytes += block.extent.bytes;
  }
  for (const int32_t id : except) {
    const Block& block = blocks_[static_cast<size_t>(id)];
    if (block.state == State::kResident && block.leases == 0) bytes -= block.extent.bytes;
  }
  return bytes;
}

void Residency::evict(Block& block) {
  memory_.leave(block.extent);
  block.state = State::kAbsent;
  block.sent = false;
  counters_.evictions += 1;
  if (std::exchange(block.ahead, false)) {
    counters_.wasted += 1;
    counters_.bytes_wasted += block.extent.bytes;
  }
}

void Residency::set_budget(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes < needed_bytes()) {
    fail(ErrorKind::kBudget, "a budget of ", bytes, " bytes; at least ", needed_bytes(), " are needed");
  }
  memory_.set_budget(bytes, counters_.pinned_bytes);
  make_room(0, -1);
  changed_.notify_all();
}

int64_t Residency::budget() const {
  const std::lock_guard lock(mutex_);
  return memory_.budget();
}

int64_t Residency::needed_bytes() const {
  return counters_.pinned_bytes + largest_;
}

}  // namespace arrowmind::residency
