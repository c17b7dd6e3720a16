#include "device/caching_allocator.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::device {

namespace {

constexpr int64_t kSmallest = 512;
constexpr int64_t kLargest = int64_t{1} << 56;

// Memory that waits for its next use, which is free once `done` is reached; at once on `stream`, whose handle
// is only compared.
struct Kept {
  Buffer buffer;
  Event done;
  const ArrowmindStream* stream;
};

}  // namespace

struct CachingAllocator::State {
  State(std::shared_ptr<Device> owner, int64_t limit) : device(std::move(owner)), limit_bytes(limit) {}

  std::optional<Buffer> reuse(int64_t size, Stream& stream);
  Buffer ask(int64_t size);
  Buffer ask_within_limit(int64_t size);
  // What is let go is released by the caller, without the lock: a driver may take its time.
  std::vector<Kept> let_go(int64_t keep_bytes);
  bool keep(Buffer* buffer, Stream& stream) noexcept;

  const std::shared_ptr<Device> device;
  const int64_t limit_bytes;
  std::mutex mutex;
  std::multimap<int64_t, Kept> kept;  // by size class
  int64_t kept_bytes = 0;
  AllocatorCounters counters;
};

int64_t size_class(int64_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  const auto octave = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)));
  return round_up(bytes, std::max(octave / 8, kSmallest));
}

std::optional<Buffer> CachingAllocator::State::reuse(int64_t size, Stream& stream) {
  std::optional<Kept> found;
  {
    const std::lock_guard lock(mutex);
    const auto [first, last] = kept.equal_range(size);
    if (first == last) return std::nullopt;
    const auto own =
        std::find_if(first, last, [&](const auto& row) { return row.second.stream == stream.handle(); });
    const auto taken = own == last ? first : own;
    found = std::move(taken->second);
    kept.erase(taken);
    kept_bytes -= size;
  }
  // Also on the same stream: its handle may be that of an earlier stream that is gone, and then this costs
  // nothing.
  try {
    stream.wait(found->done);
  } catch (...) {
    const std::lock_guard lock(mutex);
    counters.reserved_bytes -= size;
    throw;
  }
  return std::move(found->buffer);
}

std::vector<Kept> CachingAllocator::State::let_go(int64_t keep_bytes) {
  const std::lock_guard lock(mutex);
  std::vector<Kept> gone;
  while (!kept.empty() && kept_bytes > keep_bytes) {
    const auto largest = std::prev(kept.end());
    kept_bytes -= largest->first;
    counters.reserved_bytes -= largest->first;
    gone.push_back(std::move(largest->second));
    kept.erase(largest);
  }
  return gone;
}

Buffer CachingAllocator::State::ask_within_limit(int64_t size) {
  {
    const std::lock_guard lock(mutex);
    if (limit_bytes > 0 && size > limit_bytes - counters.reserved_bytes) {
      throw DeviceFailure(
          Failure::kOutOfMemory,
          cat("[", device->name(), "] allocate ", size, " bytes: limit ", limit_bytes, ", of which ",
              counters.in_use_bytes, " are in use; raise the limit or use device='cpu'"));
    }
    counters.reserved_bytes +=
        size;  // before the device is asked, so that no other thread takes the room, too
  }
  try {
    return device->allocate(size);
  } catch (...) {
    const std::lock_guard lock(mutex);
    counters.reserved_bytes -= size;
    throw;
  }
}

Buffer CachingAllocator::State::ask(int64_t size) {
  try {
    return ask_within_limit(size);
  } catch (const DeviceFailure& refused) {
    if (refused.failure() != Failure::kOutOfMemory) throw;
    if (let_go(0).empty()) throw;
  }
  {
    const std::lock_guard lock(mutex);
    ++counters.trims;
  }
  Buffer buffer = ask_within_limit(size);
  const std::lock_guard lock(mutex);
  ++counters.retries;
  return buffer;
}

// Whether the buffer was kept; where not, the caller's releasing it is all that is left to do.
bool CachingAllocator::State::keep(Buffer* buffer, Stream& stream) noexcept try {
  if (device->is_lost()) return false;
  Event done = device->event();
  stream.record(done);
  const std::lock_guard lock(mutex);
  const int64_t size = buffer->bytes();
  kept.emplace(size, Kept{std::move(*buffer), std::move(done), stream.handle()});
  kept_bytes += size;
  return true;
} catch (...) {
  return false;
}

CachingAllocator::Block::Block(std::shared_ptr<State> state, Stream& stream, Buffer buffer, int64_t bytes)
    : state_(std::move(state)), stream_(&stream), buffer_(std::move(buffer)), bytes_(bytes) {}

CachingAllocator::Block& CachingAllocator::Block::operator=(Block&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  state_ = std::move(other.state_);
  stream_ = other.stream_;
  buffer_ = std::move(other.buffer_);
  bytes_ = other.bytes_;
  return *this;
}

CachingAllocator::Block::~Block() {
  give_back();
}

void CachingAllocator::Block::give_back() noexcept {
  const std::shared_ptr<State> state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  const int64_t size = buffer_->bytes();
  const bool is_kept = state->keep(&*buffer_, *stream_);
  buffer_.reset();
  const std::lock_guard lock(state->mutex);
  state->counters.in_use_bytes -= size;
  if (!is_kept) state->counters.reserved_bytes -= size;
}

CachingAllocator::CachingAllocator(std::shared_ptr<Device> device, int64_t limit_bytes)
    : state_(std::make_shared<State>(std::move(device), limit_bytes)) {
  if (limit_bytes < 0) fail(ErrorKind::kInvalidArgument, "limit ", limit_bytes, " bytes; 0 or more");
}

CachingAllocator::Block CachingAllocator::allocate(int64_t bytes, Stream& stream) try {
  if (bytes <= 0 || bytes > kLargest) {
    fail(ErrorKind::kInvalidArgument, "[", state_->device->name(), "] allocate ", bytes, " bytes; 1 to ",
         kLargest);
  }
  if (stream.device() != state_->device) {
    fail(ErrorKind::kInvalidArgument, "[", state_->device->name(),
         "] allocate for a stream of another device");
  }
  const int64_t size = size_class(bytes);
  std::optional<Buffer> buffer = state_->reuse(size, stream);
  const bool is_reused = buffer.has_value();
  if (!is_reused) buffer = state_->ask(size);
  {
    const std::lock_guard lock(state_->mutex);
    AllocatorCounters& c = state_->counters;
    ++c.requests;
    c.in_use_bytes += size;
    c.reused += is_reused ? 1 : 0;
    c.peak_in_use_bytes = std::max(c.peak_in_use_bytes, c.in_use_bytes);
    c.peak_reserved_bytes = std::max(c.peak_reserved_bytes, c.reserved_bytes);
  }
  return Block(state_, stream, *std::move(buffer), bytes);
} catch (const DeviceFailure&) {
  const std::lock_guard lock(state_->mutex);
  ++state_->counters.requests;
  ++state_->counters.failures;
  throw;
}

void CachingAllocator::trim(int64_t keep_bytes) {
  state_->let_go(std::max<int64_t>(keep_bytes, 0));
}

AllocatorCounters CachingAllocator::counters() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counters;
}

}  // namespace arrowmind::device
