#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "device/resources.h"

namespace arrowmind::device {

struct AllocatorCounters {
  int64_t in_use_bytes = 0, reserved_bytes = 0;            // reserved: in use and kept for later
  int64_t peak_in_use_bytes = 0, peak_reserved_bytes = 0;  // high-water marks
  int64_t requests = 0, reused = 0;
  int64_t trims = 0;    // times that everything kept was given back because memory was short
  int64_t retries = 0;  // requests that the device refused at first and served then
  int64_t failures = 0;
};

// Memory of a device by size classes, kept for the next request of the same class, since asking a driver for
// memory waits for the whole device. When the device refuses, everything kept is given back and it is asked
// once more. Safe from several threads.
class CachingAllocator {
  struct State;

 public:
  // Memory for work of one stream, given back when it goes away: at once usable by that stream, whose work is
  // in order, and by others once this one's work submitted until then is done. Other streams that used it
  // must be waited for by this one first. The allocator may go away before; the stream may not.
  class Block {
   public:
    Block(Block&& other) noexcept = default;
    Block& operator=(Block&& other) noexcept;
    ~Block();
    const Buffer& buffer() const { return *buffer_; }
    int64_t bytes() const { return bytes_; }  // asked for; the buffer may be larger

   private:
    friend class CachingAllocator;
    Block(std::shared_ptr<State> state, Stream& stream, Buffer buffer, int64_t bytes);
    void give_back() noexcept;

    std::shared_ptr<State> state_;
    Stream* stream_;
    std::optional<Buffer> buffer_;
    int64_t bytes_;
  };

  // At most so many bytes are reserved; 0: as many as the device gives.
  explicit CachingAllocator(std::shared_ptr<Device> device, int64_t limit_bytes = 0);

  // Throws DeviceFailure(kOutOfMemory) when there is no room within the limit or on the device, once
  // everything kept was given back; and whatever else the device answers.
  Block allocate(int64_t bytes, Stream& stream);
  // Gives kept memory back to the device, the largest first, until at most so much is kept.
  void trim(int64_t keep_bytes = 0);
  AllocatorCounters counters() const;

 private:
  std::shared_ptr<State> state_;
};

// What is asked of a device for so many bytes: of at least 512, an eighth of an octave more at most.
int64_t size_class(int64_t bytes);

}  // namespace arrowmind::device
