#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>

#include "device/resources.h"
#include "residency/read_pool.h"

namespace arrowmind::runtime {

// How an upload goes; what is not as usual is for measuring one side alone.
struct UploadSettings {
  bool reads = true, copies = true;
  bool registers = true;  // where the driver allows, see Upload
  double pace = 0;        // bytes per second that are read at most, as of a slower disk; 0: no bound
};

// Wall time in which something is under way, however many at once.
class BusyTime {
 public:
  void begin();
  void end();
  int64_t nanoseconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  mutable std::mutex mutex_;
  int under_way_ = 0;
  Clock::time_point since_;
  Clock::duration spent_ = {};
};

// Pieces of pinned memory that threads fill, from files and from memory, while the device copies out of
// others: reads go ahead of copies, and at least one copy waits behind the one on the bus.
//
// Not safe from several threads at once.
class UploadRing {
 public:
  // Throws DeviceFailure: kNotSupported or kOutOfMemory where there is no pinned memory for one piece.
  UploadRing(const std::shared_ptr<device::Device>& device, const UploadSettings& settings);

  // `from` stays as it is until finish(). Throws DeviceFailure, and what reading a file throws.
  void send(device::Slice to, const void* from, int64_t bytes);
  // Waits for all that was sent.
  void finish();

  int64_t read_bytes() const { return read_bytes_.load(); }  // of those that were sent
  int64_t reading_nanoseconds() const { return reading_time_.nanoseconds(); }
  int64_t copying_nanoseconds() const { return copying_; }  // of the device itself

 private:
  struct Lane {
    device::PinnedMemory memory;
    device::Event begun, done;  // of its copy
    device::Slice to = {};
    int64_t bytes = 0;
    bool is_read = false;  // guarded by mutex_
    std::exception_ptr failure = nullptr;
  };

  void add_lane();
  void grow();
  void send_piece(device::Slice to, const char* from, int64_t bytes);
  void read(Lane& lane, const char* from);
  void keep_pace(int64_t bytes);
  Lane& free_lane();
  bool copy_next(bool waits);
  void retire_oldest();

  const UploadSettings settings_;
  const std::shared_ptr<device::Device> device_;
  bool is_full_ = false;
  BusyTime reading_time_;
  std::atomic<int64_t> read_bytes_ = 0;
  int64_t copying_ = 0;
  std::mutex mutex_;
  std::condition_variable was_read_;
  std::chrono::steady_clock::time_point paced_until_;  // guarded by mutex_
  std::deque<Lane> lanes_;                             // addresses stay
  std::deque<Lane*> free_, reading_, copying_lanes_;
  device::Stream bus_, waiter_;  // by the second one the host waits for a copy that others are behind
  std::unique_ptr<residency::ReadPool> readers_;  // last: its threads end before the rest
};

}  // namespace arrowmind::runtime
