// What is read, when, and in which pieces.

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "residency/residency.h"

namespace arrowmind::residency {
namespace {

// One read. Disks reach most of their speed with 1 MiB; several threads share a block.
constexpr int64_t kPiece = 2 << 20;

}  // namespace

void Residency::prefetch(std::span<const int32_t> blocks) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  for (const int32_t id : blocks) {
    if (!read_ahead(id, forecast_->distance(id))) return;
  }
}

void Residency::prefetch_likely(std::span<const int32_t> blocks, double threshold) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<double, int32_t>> likely;
  for (const int32_t id : blocks) {
    const double chance = forecast_->chance(id);
    const Block& block = blocks_[static_cast<size_t>(id)];
    if (chance > threshold && block.state == State::kAbsent && !block.retired) {
      likely.emplace_back(-chance, id);
    }
  }
  std::stable_sort(likely.begin(), likely.end(), [](auto& a, auto& b) { return a.first < b.first; });
  for (const auto& [unused, id] : likely) {
    if (!read_ahead(id, forecast_->distance(id))) return;
  }
}

void Residency::expect(std::span<const int32_t> blocks) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  std::vector<int32_t> here;  // what was copied elsewhere is not asked for
  for (const int32_t id : blocks) {
    if (!blocks_[static_cast<size_t>(id)].retired) here.push_back(id);
  }
  expected_->add(here);
  if (!expected_->is_trusted()) return;
  for (const int32_t id : here) {
    if (!read_ahead(id, kExpected)) return;
  }
}

// What the turn of a place shows of what was expected of it.
void Residency::settle(std::span<const int32_t> used) {
  for (const int32_t id : expected_->settle(used)) give_up(id);
}

// Takes back the order to read a block ahead, where no thread has begun with it.
void Residency::give_up(int32_t id) {
  Block& block = blocks_[static_cast<size_t>(id)];
  if (block.state != State::kLoading || !block.ahead || block.leases > 0) return;
  int pieces = 0;
  for (const Pages& part : block.extent.parts)
    pieces += static_cast<int>(ceil_div(part.end - part.begin, kPiece));
  if (!readers_->forget(id, pieces)) return;
  block.state = State::kAbsent;
  block.ahead = false;
  block.pieces = 0;
  memory_.give_back(block.extent);
  counters_.prefetched -= 1;
}

// In the place of what is needed later than `beyond`; false where there is no room for it.
bool Residency::read_ahead(int32_t id, int64_t beyond) {
  Block& block = blocks_[static_cast<size_t>(id)];
  if (block.state != State::kAbsent) return true;
  if (!make_room(block.extent.bytes, beyond)) return false;
  block.ahead = true;
  counters_.prefetched += 1;
  begin_read(id, false);
  return true;
}

// Sees to it that a block is there or on its way; false where there is no room for it.
bool Residency::send_for(int32_t id) {
  Block& block = blocks_[static_cast<size_t>(id)];
  if (block.state == State::kLoading) readers_->hurry(id);
  if (block.state != State::kAbsent) return true;
  if (!make_room(block.extent.bytes, -1)) return false;
  counters_.misses += 1;
  block.sent = true;
  begin_read(id, true);
  return true;
}

void Residency::begin_read(int32_t id, bool urgent) {
  Block& block = blocks_[static_cast<size_t>(id)];
  block.state = State::kLoading;
  block.failure.clear();
  memory_.take(block.extent);
  block.pieces = 1;  // this function's own, so that the block does not end before all are submitted
  for (const Pages& part : block.extent.parts) {
    for (int64_t begin = part.begin; begin < part.end; begin += kPiece) {
      block.pieces += 1;
      const Pages piece = {begin, std::min(begin + kPiece, part.end)};
      readers_->submit(id, urgent, [this, id, piece] { read_piece(id, piece); });
    }
  }
  end_piece(id, 0, {});
}

void Residency::read_piece(int32_t id, Pages piece) {
  const Block& block = blocks_[static_cast<size_t>(id)];  // its slot stays while pieces of it are read
  std::string failure;
  try {
    memory_.read(block.extent, piece);
  } catch (const Error& error) {
    failure = error.what();
  }
  const std::lock_guard lock(mutex_);
  end_piece(id, piece.end - piece.begin, std::move(failure));
}

// Under the mutex.
void Residency::end_piece(int32_t id, int64_t bytes, std::string failure) {
  Block& block = blocks_[static_cast<size_t>(id)];
  counters_.bytes_read += bytes;
  if (!failure.empty()) block.failure = std::move(failure);
  if (--block.pieces > 0) return;
  if (block.failure.empty()) {
    block.state = State::kResident;
    if (!memory_.fits(0)) make_room(0, -1);  // the budget became smaller while the block was read
  } else {
    memory_.drop(block.extent);
    block.state = State::kAbsent;
    block.ahead = block.sent = false;
  }
  changed_.notify_all();
}

void Residency::wait_for_reads(std::unique_lock<std::mutex>& lock, std::span<const int32_t> blocks) {
  const auto loading = [&] {
    return std::any_of(blocks.begin(), blocks.end(),
                       [&](int32_t id) { return blocks_[static_cast<size_t>(id)].state == State::kLoading; });
  };
  changed_.wait(lock, [&] { return !loading(); });
  for (const int32_t id : blocks) {
    Block& block = blocks_[static_cast<size_t>(id)];
    if (block.state == State::kResident) continue;
    const std::string failure = block.failure;
    drop_leases(blocks);
    fail(ErrorKind::kIntegrity, failure);
  }
}

}  // namespace arrowmind::residency
