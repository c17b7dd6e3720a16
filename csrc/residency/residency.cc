#include "residency/residency.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::residency {
namespace {

int64_t now_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Residency::Residency(std::shared_ptr<const arrow::OnDemandFile> file, Settings settings)
    : file_(std::move(file)),
      policy_(settings.policy),
      memory_(*file_, settings.budget, mutex_),
      owner_process_(::getpid()) {
  if (settings.budget < 1 || settings.threads < 1 || settings.threads > 64) {
    fail(ErrorKind::kInvalidArgument, "a budget of ", settings.budget, " bytes and ", settings.threads,
         " threads; at least 1 byte and 1 to 64 threads are needed");
  }
  readers_ = std::make_unique<ReadPool>(settings.threads);
}

Residency::~Residency() {
  readers_.reset();
  for (const Block& block : blocks_) {
    if (block.state == State::kAbsent || block.extent.asked) continue;
    for (const Pages& part : block.extent.parts) file_->drop(part.begin, part.end);
  }
  for (const Pages& part : pinned_) file_->drop(part.begin, part.end);
}

int Residency::add(std::span<const arrow::FileRange> ranges, int64_t place, bool asked) {
  if (sealed_ || place < 0 || place > 1 << 20) {
    fail(ErrorKind::kInvalidArgument, "a block at place ", place, sealed_ ? " of what is sealed" : "",
         "; places are 0 to 1048576, and blocks are added before the first use");
  }
  Block block;
  block.place = place;
  block.extent.asked = asked;
  for (const arrow::FileRange& range : ranges) {
    if (!range_fits(range.offset, range.size, file_->size())) {
      fail(ErrorKind::kInvalidArgument, "bytes ", range.offset, " to ", range.offset + range.size, " of ",
           file_->path(), ", which has ", file_->size());
    }
    if (range.size > 0) block.extent.parts.push_back(pages_of(range));
  }
  blocks_.push_back(std::move(block));
  return static_cast<int>(blocks_.size()) - 1;
}

void Residency::pin(arrow::FileRange range) {
  if (sealed_ || !range_fits(range.offset, range.size, file_->size())) {
    fail(ErrorKind::kInvalidArgument, "bytes ", range.offset, " to ", range.offset + range.size, " of ",
         file_->path(), " cannot be pinned");
  }
  if (range.size > 0) {
    pinned_.push_back(pages_of(range));
  }
}

void Residency::seal() {
  std::vector<Extent*> extents;
  for (Block& block : blocks_) extents.push_back(&block.extent);
  memory_.settle(extents, pinned_);
  std::vector<int64_t> places;
  for (const Block& block : blocks_) {
    largest_ = std::max(largest_, block.extent.bytes);
    places.push_back(block.place);
  }
  forecast_ = make_forecast(policy_, places);
  expected_ = std::make_unique<Expectation>(std::move(places));
  counters_.pinned_bytes = bytes_of(pinned_);
  if (needed_bytes() > memory_.budget()) {
    fail(ErrorKind::kBudget, "a budget of ", memory_.budget(), " bytes: ", counters_.pinned_bytes,
         " are always needed and ", largest_, " for the largest part; give at least ", needed_bytes());
  }
  load_pinned();
  memory_.set_budget(memory_.budget(), counters_.pinned_bytes);
  sealed_ = true;
}

void Residency::load_pinned() {
  const auto begin = [](const Pages& a, const Pages& b) { return a.begin < b.begin; };
  std::sort(pinned_.begin(), pinned_.end(), begin);
  memory_.pin(counters_.pinned_bytes);
  for (const Pages& part : pinned_) {
    memory_.bring(part);
    counters_.bytes_read += part.end - part.begin;
  }
}

void Residency::acquire(std::span<const int32_t> blocks) {
  check(blocks);
  if (blocks.empty()) return;
  const std::vector<int32_t> wanted = distinct(blocks);
  std::unique_lock lock(mutex_);
  const int64_t start = now_ns();
  wait_for_room(lock, wanted);
  forecast_->note(wanted);
  for (const int32_t id : wanted) blocks_[static_cast<size_t>(id)].leases += 1;
  for (const int32_t id : wanted) {
    send_for(id);  // wait_for_room() has seen that it can
    count_use(id);
  }
  wait_for_reads(lock, wanted);
  counters_.stalled_ns += now_ns() - start;
}

size_t Residency::acquire_first(std::span<const int32_t> blocks, bool together) {
  check(blocks);
  if (blocks.empty()) return 0;
  std::unique_lock lock(mutex_);
  const int64_t start = now_ns();
  wait_for_room(lock, blocks.first(1));
  settle(blocks);
  forecast_->note(blocks);
  for (const int32_t id : blocks) blocks_[static_cast<size_t>(id)].retired = false;
  blocks_[static_cast<size_t>(blocks[0])].leases += 1;
  send_for(blocks[0]);  // wait_for_room() has seen that it can, if need be in the place of the others
  // Held until all are sent for, so that none of them makes room for another.
  const std::span<const int32_t> others = blocks.subspan(1);
  for (const int32_t id : others) blocks_[static_cast<size_t>(id)].leases += 1;
  size_t sent = 1;
  while (sent < blocks.size() && send_for(blocks[sent])) ++sent;
  const size_t awaited = together ? sent : 1;
  drop_leases(blocks.subspan(awaited));
  wait_for_reads(lock, blocks.first(awaited));
  size_t count = 0;
  while (count < blocks.size() && blocks_[static_cast<size_t>(blocks[count])].state == State::kResident) {
    if (count >= awaited) blocks_[static_cast<size_t>(blocks[count])].leases += 1;
    count_use(blocks[count++]);
  }
  counters_.stalled_ns += now_ns() - start;
  return count;
}

void Residency::release(std::span<const int32_t> blocks) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  drop_leases(distinct(blocks));
  make_room(0, -1);  // the budget may have shrunk
}

void Residency::drop_leases(std::span<const int32_t> blocks) {
  for (const int32_t id : blocks) {
    Block& block = blocks_[static_cast<size_t>(id)];
    if (block.leases < 1) fail(ErrorKind::kInvalidArgument, "block ", id, " is released but not acquired");
    block.leases -= 1;
  }
  changed_.notify_all();
}

void Residency::count_use(int32_t id) {
  Block& block = blocks_[static_cast<size_t>(id)];
  if (!std::exchange(block.sent, false)) {
    (block.state == State::kResident ? counters_.hits : counters_.late) += 1;
  }
  block.ahead = false;
}

const uint8_t* Residency::address(int32_t block, int64_t offset) const {
  check({&block, 1});
  const std::lock_guard lock(mutex_);
  return memory_.address(blocks_[static_cast<size_t>(block)].extent, offset);
}

Counters Residency::counters() const {
  const std::lock_guard lock(mutex_);
  Counters counters = counters_;
  counters.resident_bytes = memory_.held();
  counters.peak_bytes = memory_.peak();
  for (const Block& block : blocks_) counters.resident_blocks += block.state == State::kResident ? 1 : 0;
  return counters;
}

void Residency::check(std::span<const int32_t> blocks) const {
  if (!sealed_) fail(ErrorKind::kInvalidArgument, "blocks are used before all of them were added");
  if (::getpid() != owner_process_) {
    fail(ErrorKind::kDevice,
         "a model with a memory budget was opened before this process was forked; open "
         "it here");
  }
  for (const int32_t id : blocks) {
    if (id < 0 || static_cast<size_t>(id) >= blocks_.size()) {
      fail(ErrorKind::kInvalidArgument, "block ", id, " of ", blocks_.size());
    }
  }
}

std::vector<int32_t> Residency::distinct(std::span<const int32_t> blocks) const {
  std::vector<int32_t> found(blocks.begin(), blocks.end());
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace arrowmind::residency
