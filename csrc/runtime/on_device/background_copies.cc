#include "runtime/on_device/background_copies.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

// As of Upload: a bus reaches its speed with some MiB.
constexpr int64_t kPiece = int64_t{4} << 20;
constexpr size_t kLanes = 3;
// Behind what is copied there is room up to a multiple of so many bytes.
constexpr int64_t kPadding = 64;

// The bytes of [begin, end) of what is copied together; `at` is the first part that reaches into it.
void gather(std::span<const Part> parts, size_t& at, int64_t begin, int64_t end, char* to) {
  for (; at < parts.size(); ++at) {
    const Part& part = parts[at];
    const int64_t first = std::max(begin, part.offset), last = std::min(end, part.offset + part.bytes);
    if (first < last) {
      std::memcpy(to + (first - begin), static_cast<const char*>(part.data) + (first - part.offset),
                  static_cast<size_t>(last - first));
    }
    if (part.offset + part.bytes > end) return;  // it goes on in the next piece
  }
}

}  // namespace

BackgroundCopies::BackgroundCopies(std::shared_ptr<device::Device> device)
    : device_(std::move(device)), is_direct_(device_->info().shares_host_memory) {}

void BackgroundCopies::open() {
  try {
    while (!is_direct_ && lanes_.size() < kLanes) {
      lanes_.push_back({device_->pinned(kPiece), device_->event(), false, device_->stream()});
    }
  } catch (const device::DeviceFailure& failure) {
    const bool is_refused = failure.failure() == device::Failure::kNotSupported ||
                            failure.failure() == device::Failure::kOutOfMemory;
    if (!is_refused) throw;
    is_direct_ = lanes_.empty();  // a smaller ring serves, too
  }
  if (lanes_.empty()) lanes_.push_back({std::nullopt, device_->event(), false, device_->stream()});
}

void BackgroundCopies::after(device::Event& event) {
  open();
  for (Lane& lane : lanes_) lane.stream.wait(event);
}

bool BackgroundCopies::copy(const device::Buffer& to, int64_t first, std::span<const Part> parts,
                            const std::function<bool()>& ends) {
  if (parts.empty()) return true;
  open();
  if (is_direct_) return copy_straight(to, first, parts, ends);
  const int64_t end = round_up(parts.back().offset + parts.back().bytes, kPadding);
  size_t at = 0;
  for (int64_t begin = 0; begin < end; begin += kPiece) {
    if (ends && ends()) return false;
    const int64_t bytes = std::min(kPiece, end - begin);
    Lane& lane = lanes_[next_];
    next_ = (next_ + 1) % lanes_.size();
    lane.stream.synchronise();
    auto* memory = static_cast<char*>(lane.memory->address());
    gather(parts, at, begin, begin + bytes, memory);
    lane.stream.copy_in({&to, first + begin}, memory, bytes);
  }
  mark();
  return true;
}

bool BackgroundCopies::copy_straight(const device::Buffer& to, int64_t first, std::span<const Part> parts,
                                     const std::function<bool()>& ends) {
  for (const Part& part : parts) {
    if (ends && ends()) return false;
    lanes_.front().stream.copy_in({&to, first + part.offset}, part.data, part.bytes);
    if (ends) lanes_.front().stream.synchronise();  // else all would be on their way before it is asked again
  }
  mark();
  return true;
}

void BackgroundCopies::mark() {
  for (Lane& lane : lanes_) {
    lane.stream.record(lane.done);
    lane.is_marked = true;
  }
}

void BackgroundCopies::before(device::Stream& reader) {
  for (Lane& lane : lanes_) {
    if (lane.is_marked) reader.wait(lane.done);
  }
}

void BackgroundCopies::let_go() {
  if (is_direct_ && !lanes_.empty()) lanes_.front().stream.synchronise();
}

void BackgroundCopies::finish() {
  for (Lane& lane : lanes_) lane.stream.synchronise();
}

void BackgroundCopies::stop() noexcept {
  lanes_.clear();  // streams that go away wait for their work
  next_ = 0;
}

}  // namespace arrowmind::runtime
