#include "runtime/on_device/upload_ring.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

#include "arrow/mapped_file.h"

namespace arrowmind::runtime {
namespace {

// A bus reaches its speed with some MiB.
constexpr int64_t kPiece = int64_t{4} << 20;
// Disks reach theirs with several reads at once.
constexpr size_t kLanes = 8;
constexpr int kReaders = 4;
// On the bus, and waiting for it.
constexpr size_t kCopies = 2;

using Clock = std::chrono::steady_clock;

}  // namespace

void BusyTime::begin() {
  const std::lock_guard lock(mutex_);
  if (under_way_++ == 0) since_ = Clock::now();
}

void BusyTime::end() {
  const std::lock_guard lock(mutex_);
  if (--under_way_ == 0) spent_ += Clock::now() - since_;
}

int64_t BusyTime::nanoseconds() const {
  const std::lock_guard lock(mutex_);
  const Clock::duration until_now = under_way_ > 0 ? Clock::now() - since_ : Clock::duration::zero();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(spent_ + until_now).count();
}

UploadRing::UploadRing(const std::shared_ptr<device::Device>& device, const UploadSettings& settings)
    : settings_(settings), device_(device), bus_(device->stream()), waiter_(device->stream()) {
  add_lane();
  readers_ = std::make_unique<residency::ReadPool>(kReaders);
}

void UploadRing::add_lane() {
  free_.push_back(&lanes_.emplace_back(Lane{device_->pinned(kPiece), device_->event(), device_->event()}));
}

// Pinned memory is slow to get: as much as is needed, until there is enough, or no more.
void UploadRing::grow() {
  if (!free_.empty() || lanes_.size() == kLanes || is_full_) return;
  try {
    add_lane();
  } catch (const device::DeviceFailure& failure) {  // a smaller ring serves, too
    if (failure.failure() != device::Failure::kOutOfMemory) throw;
    is_full_ = true;
  }
}

void UploadRing::send(device::Slice to, const void* from, int64_t bytes) {
  for (int64_t done = 0; done < bytes; done += kPiece) {
    send_piece({to.buffer, to.offset + done}, static_cast<const char*>(from) + done,
               std::min(kPiece, bytes - done));
  }
}

void UploadRing::send_piece(device::Slice to, const char* from, int64_t bytes) {
  Lane& lane = free_lane();
  lane.to = to;
  lane.bytes = bytes;
  lane.is_read = !settings_.reads;
  lane.failure = nullptr;
  free_.pop_front();
  reading_.push_back(&lane);
  if (!settings_.reads) return;
  const std::optional<arrow::MappedFile::Part> part = arrow::MappedFile::find(from, bytes);
  if (part) part->file->will_need(part->offset, bytes);  // before a thread comes to it
  readers_->submit(0, false, [this, &lane, from] { read(lane, from); });
}

// By a thread of the pool.
void UploadRing::read(Lane& lane, const char* from) {
  reading_time_.begin();
  std::exception_ptr failure;
  try {
    // A file is read, not touched: no page of the mapping is a fault, and a file that became shorter is an
    // error.
    const std::optional<arrow::MappedFile::Part> part = arrow::MappedFile::find(from, lane.bytes);
    if (part) {
      part->file->read_to(part->offset, lane.bytes, lane.memory.address());
    } else {
      std::memcpy(lane.memory.address(), from, static_cast<size_t>(lane.bytes));
    }
    if (settings_.pace > 0) keep_pace(lane.bytes);
  } catch (...) {
    failure = std::current_exception();
  }
  reading_time_.end();
  {
    const std::lock_guard lock(mutex_);
    lane.is_read = true;
    lane.failure = failure;
    read_bytes_ += lane.bytes;
  }
  was_read_.notify_one();
}

void UploadRing::keep_pace(int64_t bytes) {
  Clock::time_point until;
  {
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> takes(static_cast<double>(bytes) / settings_.pace);
    paced_until_ = std::max(paced_until_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(takes);
    until = paced_until_;
  }
  std::this_thread::sleep_until(until);
}

// The first of the free ones, once there is one.
UploadRing::Lane& UploadRing::free_lane() {
  while (true) {
    while (copy_next(false)) {
    }
    grow();
    if (!free_.empty()) return *free_.front();
    if (copying_lanes_.size() >= kCopies || reading_.empty()) {
      retire_oldest();
    } else {
      copy_next(true);
    }
  }
}

// Sends the piece that was read first on its way, in the order of reading; false where it is not read yet.
bool UploadRing::copy_next(bool waits) {
  if (reading_.empty()) return false;
  Lane& lane = *reading_.front();
  {
    std::unique_lock lock(mutex_);
    if (waits) was_read_.wait(lock, [&] { return lane.is_read; });
    if (!lane.is_read) return false;
    if (lane.failure) std::rethrow_exception(lane.failure);
  }
  if (settings_.copies) {
    bus_.record(lane.begun);
    bus_.copy_in(lane.to, lane.memory.address(), lane.bytes);
    bus_.record(lane.done);
  }
  reading_.pop_front();
  (settings_.copies ? copying_lanes_ : free_).push_back(&lane);
  return true;
}

void UploadRing::retire_oldest() {
  Lane& lane = *copying_lanes_.front();
  waiter_.wait(lane.done);
  waiter_.synchronise();
  copying_ += lane.begun.nanoseconds_until(lane.done);
  copying_lanes_.pop_front();
  free_.push_back(&lane);
}

void UploadRing::finish() {
  while (copy_next(true)) {
    if (copying_lanes_.size() > kCopies) retire_oldest();
  }
  while (!copying_lanes_.empty()) retire_oldest();
}

}  // namespace arrowmind::runtime
