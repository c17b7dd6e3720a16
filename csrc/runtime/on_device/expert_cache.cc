#include "runtime/on_device/expert_cache.h"

#include <algorithm>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

// Behind the last part there is room up to a multiple of so many bytes.
constexpr int64_t kPadding = 256;
// How much more an expert must be used than the one whose place it takes: else two would take turns.
constexpr double kBetter = 1.25;
// What gives no expert in so many copies is left alone.
constexpr int64_t kMostFailures = 3;

}  // namespace

ExpertCache::ExpertCache(std::shared_ptr<device::Device> device, std::vector<Layer> layers,
                         const ExpertCacheOptions& options)
    : device_(std::move(device)), options_(options) {
  std::vector<int64_t> places = {0};
  items_.emplace_back();
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    firsts_.push_back(static_cast<int32_t>(items_.size()));
    for (std::vector<Part>& parts : layers[layer].experts) {
      Item one;
      one.parts = std::move(parts);
      one.source = layers[layer].source;
      one.id = static_cast<int32_t>(items_.size()) - firsts_.back();
      const Part& last = one.parts.back();
      one.bytes = round_up(last.offset + last.bytes, kPadding);
      items_.push_back(std::move(one));
      places.push_back(static_cast<int64_t>(layer) + 1);
    }
  }
  forecast_ = residency::make_forecast(residency::Policy::kFarthest, places);
  thread_ = std::thread([this] { work(); });
}

ExpertCache::~ExpertCache() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ExpertCache::take(int64_t layer, std::span<const int32_t> ids,
                       std::vector<const device::Buffer*>& buffers) {
  const std::lock_guard lock(mutex_);
  std::vector<int32_t> numbers;
  for (const int32_t id : ids) numbers.push_back(number_of(layer, id));
  const int32_t nothing = 0;
  forecast_->note({&nothing, 1});  // a layer that stands alone has rounds, too
  forecast_->note(numbers);
  buffers.assign(ids.size(), nullptr);
  for (size_t i = 0; i < ids.size(); ++i) {
    Item& one = item(numbers[i]);
    if (!one.is_there) {
      ++counters_.misses;
      if (one.source == nullptr) consider(numbers[i]);  // else once it is in memory
      continue;
    }
    ++counters_.hits;
    ++one.users;
    buffers[i] = &*one.memory;
  }
}

void ExpertCache::give_back(int64_t layer, std::span<const int32_t> ids,
                            std::span<const device::Buffer* const> buffers) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (buffers[i] != nullptr) --item(number_of(layer, ids[i])).users;
  }
}

void ExpertCache::offer(int64_t layer, std::span<const int32_t> ids) {
  const std::lock_guard lock(mutex_);
  for (const int32_t id : ids) {
    const Item& one = item(number_of(layer, id));
    if (one.source != nullptr && !one.is_there) consider(number_of(layer, id));
  }
}

// One at a time is brought: what is asked for meanwhile asks again if it matters.
void ExpertCache::consider(int32_t number) {
  if (wanted_ || counters_.failed >= kMostFailures || !is_worth_bringing(number)) return;
  const Item& one = item(number);
  Loan loan = one.source == nullptr ? Loan() : Loan(*one.source, one.id);
  if (one.source != nullptr && !loan.is_given()) return;
  wanted_ = Wanted{number, std::move(loan)};
  changed_.notify_all();
}

bool ExpertCache::is_worth_bringing(int32_t number) const {
  const double chance = forecast_->chance(number);
  const int64_t bytes = items_[static_cast<size_t>(number)].bytes;
  if (chance < options_.threshold || bytes > options_.room_bytes) return false;
  if (!is_full_ && counters_.held_bytes + bytes <= options_.room_bytes) return true;
  const int32_t least = least_wanted();
  return least != 0 && forecast_->chance(least) * kBetter <= chance;
}

// Of those that are there and that nobody uses; 0: none.
int32_t ExpertCache::least_wanted() const {
  int32_t least = 0;
  for (int32_t number = 1; number < static_cast<int32_t>(items_.size()); ++number) {
    const Item& one = items_[static_cast<size_t>(number)];
    if (!one.is_there || one.users > 0) continue;
    if (least == 0 || forecast_->chance(number) < forecast_->chance(least)) least = number;
  }
  return least;
}

// Memory of one that goes, where it has the size; none: there is room for another, or there is none.
std::optional<device::Buffer> ExpertCache::make_room(int32_t number) {
  const int64_t bytes = item(number).bytes;
  while (is_full_ || counters_.held_bytes + bytes > options_.room_bytes) {
    const int32_t least = least_wanted();
    if (least == 0) return std::nullopt;
    device::Buffer memory = evict(least);
    if (memory.bytes() == bytes) return memory;
    is_full_ = false;  // what goes makes room
  }
  return std::nullopt;
}

device::Buffer ExpertCache::evict(int32_t number) {
  Item& one = item(number);
  one.is_there = false;
  counters_.held_bytes -= one.bytes;
  ++counters_.evicted;
  device::Buffer memory = std::move(*one.memory);
  one.memory.reset();
  return memory;
}

void ExpertCache::give_way() {
  const std::lock_guard lock(mutex_);
  options_.room_bytes = std::min(options_.room_bytes, counters_.held_bytes / 2);
  while (counters_.held_bytes > options_.room_bytes) {
    const int32_t least = least_wanted();
    if (least == 0) return;  // the others are being read; they go when another wants their place
    evict(least);
  }
}

void ExpertCache::work() {
  BackgroundCopies copies(device_);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ends_ || wanted_; });
    if (ends_) return;
    bring(copies, lock, *wanted_);
    wanted_.reset();
    changed_.notify_all();
  }
}

// The lock is given up for the copy.
void ExpertCache::bring(BackgroundCopies& copies, std::unique_lock<std::mutex>& lock, Wanted& wanted) {
  Item& one = item(wanted.number);
  std::optional<device::Buffer> memory = make_room(wanted.number);
  const bool fits = memory || (!is_full_ && counters_.held_bytes + one.bytes <= options_.room_bytes);
  if (!fits) return;
  lock.unlock();
  bool is_there = false, is_full = false, has_failed = false;
  try {
    if (!memory) memory.emplace(device_->allocate(one.bytes));
    is_there = copy(copies, *memory, one, wanted.loan);
  } catch (const device::DeviceFailure& failure) {
    has_failed = true;
    is_full = failure.failure() == device::Failure::kOutOfMemory;
    copies.stop();  // before its memory goes
  }
  if (!is_there) memory.reset();
  wanted.loan.end();
  lock.lock();
  if (!is_there) {
    is_full_ = is_full;
    counters_.failed += has_failed && !is_full ? 1 : 0;
    return;
  }
  one.memory = std::move(memory);
  one.is_there = true;
  counters_.held_bytes += one.bytes;
  counters_.brought_bytes += one.bytes;
  ++counters_.brought;
}

// What is lent is given back as soon as it is in pinned memory, or on the device, and at the next piece when
// somebody lacks its room. Whether all of it is there.
bool ExpertCache::copy(BackgroundCopies& copies, const device::Buffer& to, const Item& one, Loan& loan) {
  const bool is_lent = loan.is_given();
  std::vector<Part> parts = one.parts;
  for (Part& part : parts) {
    if (is_lent) part.data = one.source->find(one.id, part.data);
  }
  std::function<bool()> is_short;
  if (is_lent) is_short = [&] { return one.source->is_short(); };
  const bool is_whole = copies.copy(to, 0, parts, is_short);
  copies.let_go();
  loan.end();
  copies.finish();
  return is_whole;
}

void ExpertCache::settle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !wanted_; });
}

ExpertCacheCounters ExpertCache::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace arrowmind::runtime
