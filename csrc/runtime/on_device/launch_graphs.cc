#include "runtime/on_device/launch_graphs.h"

#include <algorithm>

namespace arrowmind::runtime {
namespace {

// Of forwards with graphs, and of keys that were seen once. A driver takes some kilobytes for each launch.
constexpr size_t kMostHeld = 16, kMostSeen = 32;
constexpr int64_t kFirstRest = 16, kLongestRest = 4096;

int64_t pieces_of(const RecordedForward& forward) {
  return std::ranges::count_if(forward.pieces, [](const auto& piece) { return piece.graph.has_value(); });
}

}  // namespace

int64_t RecordedForward::launches() const {
  int64_t count = 0;
  for (const Piece& piece : pieces) count += piece.graph ? piece.graph->launches() : 0;
  return count;
}

std::shared_ptr<const RecordedForward> LaunchGraphs::find(const LaunchKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(held_, key, &Held::key);
  if (found == held_.end()) return nullptr;
  held_.splice(held_.begin(), held_, found);
  return found->forward;
}

bool LaunchGraphs::is_due(const LaunchKey& key) {
  const std::lock_guard lock(mutex_);
  if (is_off_) return false;
  if (rests_ > 0) {
    --rests_;
    return false;
  }
  if (const auto found = std::ranges::find(seen_, key); found != seen_.end()) {
    seen_.erase(found);
    return true;
  }
  seen_.push_front(key);
  if (seen_.size() > kMostSeen) seen_.pop_back();
  return false;
}

void LaunchGraphs::keep(const LaunchKey& key, std::shared_ptr<const RecordedForward> made) {
  std::list<Held> gone;  // goes without the lock: a driver may take its time
  const std::lock_guard lock(mutex_);
  counters_.made += pieces_of(*made);
  rest_ = 0;
  held_.push_front({key, std::move(made)});
  if (held_.size() > kMostHeld) gone.splice(gone.begin(), held_, std::prev(held_.end()));
}

void LaunchGraphs::failed(bool never) {
  std::list<Held> gone;  // their memory may be what the device lacks
  const std::lock_guard lock(mutex_);
  ++counters_.failed;
  is_off_ = is_off_ || never;
  rests_ = rest_ = std::clamp(2 * rest_, kFirstRest, kLongestRest);
  gone.swap(held_);
  seen_.clear();
}

void LaunchGraphs::ran(const RecordedForward& forward) {
  const std::lock_guard lock(mutex_);
  counters_.runs += pieces_of(forward);
  counters_.launches += forward.launches();
}

void LaunchGraphs::drop() {
  std::list<Held> gone;
  const std::lock_guard lock(mutex_);
  gone.swap(held_);
  seen_.clear();
}

GraphCounters LaunchGraphs::counters() const {
  const std::lock_guard lock(mutex_);
  GraphCounters found = counters_;
  for (const Held& one : held_) {
    found.held += pieces_of(*one.forward);
    found.held_launches += one.forward->launches();
  }
  return found;
}

}  // namespace arrowmind::runtime
