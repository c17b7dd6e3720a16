#include "residency/residency.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::residency {
namespace {

// One read. Disks reach most of their speed with 1 MiB; several threads share a block.
constexpr int64_t kPiece = 2 << 20;
constexpr int64_t kNever = INT64_MAX;  // when a block is needed again
// How soon a block is needed that is expected: before all others that nobody holds.
constexpr int64_t kExpected = 0;

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

void Residency::prefetch(std::span<const int32_t> blocks) {
  check(blocks);
  const std::lock_guard lock(mutex_);
  for (const int32_t id : blocks) {
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

void Residency::count_use(int32_t id) {
  Block& block = blocks_[static_cast<size_t>(id)];
  if (!std::exchange(block.sent, false)) {
    (block.state == State::kResident ? counters_.hits : counters_.late) += 1;
  }
  block.ahead = false;
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

const uint8_t* Residency::address(int32_t block, int64_t offset) const {
  check({&block, 1});
  const std::lock_guard lock(mutex_);
  return memory_.address(blocks_[static_cast<size_t>(block)].extent, offset);
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
