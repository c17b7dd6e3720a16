// Blocks of which copies lie elsewhere: how these are made, and what follows while they are there.

#include "residency/residency.h"

namespace arrowmind::residency {

void Residency::retire(std::span<const int32_t> blocks) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  for (const int32_t id : blocks) blocks_[static_cast<size_t>(id)].retired = true;
}

void Residency::pass_over(std::span<const int32_t> blocks, bool whole) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  if (whole) settle(blocks);
  forecast_->note(blocks);
  for (const int32_t id : blocks) blocks_[static_cast<size_t>(id)].retired = true;
}

bool Residency::lend(int32_t id) {
  check({&id, 1});
  const std::lock_guard lock(mutex_);
  Block& block = blocks_[static_cast<size_t>(id)];
  const int64_t bytes = lent_ + block.extent.bytes;
  if (block.state != State::kResident || needed_bytes() + bytes > memory_.budget()) return false;
  lent_ = bytes;
  block.leases += 1;
  return true;
}

void Residency::take_back(int32_t id) {
  check({&id, 1});
  const std::lock_guard lock(mutex_);
  drop_leases({&id, 1});
  lent_ -= blocks_[static_cast<size_t>(id)].extent.bytes;
  make_room(0, -1);  // the budget may have shrunk
}

bool Residency::is_short() const {
  const std::lock_guard lock(mutex_);
  return waiting_ > 0;
}

}  // namespace arrowmind::residency
