#include "runtime/on_device/upload.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace arrowmind::runtime {
namespace {

// A bus reaches its speed with some MiB; three pieces: one that is read, one that is copied, one that waits.
constexpr int64_t kPiece = int64_t{4} << 20;
constexpr size_t kLanes = 3;
// What is smaller is not worth a ring.
constexpr int64_t kSmall = int64_t{64} << 10;
constexpr uintptr_t kPage = 4096;

// Asks the system to read what comes next meanwhile; nothing happens where it is there, or no file.
void read_ahead(const char* from, int64_t bytes) {
  if (bytes <= 0) return;
  const uintptr_t first = reinterpret_cast<uintptr_t>(from) / kPage * kPage;
  const uintptr_t end = reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(bytes);
  ::posix_madvise(reinterpret_cast<void*>(first), end - first, POSIX_MADV_WILLNEED);
}

}  // namespace

Upload::Upload(std::shared_ptr<device::Device> device)
    : device_(std::move(device)), is_direct_(device_->info().shares_host_memory) {}

void Upload::copy(device::Slice to, const void* from, int64_t bytes) {
  const auto* source = static_cast<const char*>(from);
  if (is_direct_ || bytes < kSmall || !open_lanes()) {
    if (!straight_) straight_.emplace(device_->stream());
    straight_->copy_in(to, from, bytes);
    return;
  }
  read_ahead(source, std::min(bytes, kPiece));
  for (int64_t done = 0; done < bytes; done += kPiece) {
    const int64_t size = std::min(kPiece, bytes - done), behind = done + size;
    read_ahead(source + behind, std::min(kPiece, bytes - behind));
    copy_piece({to.buffer, to.offset + done}, source + done, size);
  }
}

void Upload::copy_piece(device::Slice to, const char* from, int64_t bytes) {
  Lane& lane = lanes_[next_];
  next_ = (next_ + 1) % lanes_.size();
  lane.stream.synchronise();
  std::memcpy(lane.memory.address(), from, static_cast<size_t>(bytes));
  lane.stream.copy_in(to, lane.memory.address(), bytes);
}

// False where the device has no pinned memory.
bool Upload::open_lanes() {
  try {
    while (lanes_.size() < kLanes) lanes_.push_back({device_->pinned(kPiece), device_->stream()});
  } catch (const device::DeviceFailure& failure) {
    const bool is_refused = failure.failure() == device::Failure::kNotSupported ||
                            failure.failure() == device::Failure::kOutOfMemory;
    if (!is_refused) throw;
    is_direct_ = lanes_.empty();  // a smaller ring serves, too
  }
  return !lanes_.empty();
}

void Upload::finish() {
  for (Lane& lane : lanes_) lane.stream.synchronise();
  if (straight_) straight_->synchronise();
  stop();
}

void Upload::stop() noexcept {
  lanes_.clear();  // streams that go away wait for their work; and pinned memory is scarce
  straight_.reset();
  next_ = 0;
}

}  // namespace arrowmind::runtime
