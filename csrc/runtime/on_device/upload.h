#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/resources.h"
#include "runtime/on_device/upload_ring.h"

namespace arrowmind::runtime {

// What an upload did until now. Times are of large pieces; small ones are copied on the side.
struct UploadCounters {
  int64_t bytes = 0;             // all
  int64_t ring_bytes = 0;        // through pinned memory
  int64_t registered_bytes = 0;  // straight from the mapping of a file
  int64_t nanoseconds = 0;       // from the first copy to the end of the last, sums of such spans
  int64_t reading = 0;           // nanoseconds of them in which pieces were read
  int64_t copying = 0;           // nanoseconds in which the device copied them
};

// Copies of host memory to a device, such as of a mapped file: through a ring of pinned memory, or straight
// from the mapping, made known to the device, where the driver allows that and it is the faster way. Devices
// that share the host's memory, and those without pinned memory, copy straight.
//
// Not safe from several threads at once.
class Upload {
 public:
  explicit Upload(std::shared_ptr<device::Device> device, const UploadSettings& settings = {});

  // `from` stays as it is until finish(). Throws DeviceFailure, and what reading a file throws.
  void copy(device::Slice to, const void* from, int64_t bytes);
  // Waits for all copies.
  void finish();
  // Likewise, whatever came of them; and gives all memory back.
  void stop() noexcept;
  const UploadCounters& counters() const { return counters_; }

 private:
  // Part of a mapping while the device knows it, and its copy.
  struct Registered {
    device::Registration registration;
    device::Event begun, done;
    int64_t bytes;
  };

  bool open_ring();
  bool registering_pays() const;
  bool copy_registered(device::Slice to, const void* from, int64_t bytes);
  std::optional<device::Registration> known(const void* from, int64_t bytes);
  void end_registered();
  void count_ring();
  device::Stream& straight();

  const std::shared_ptr<device::Device> device_;
  const UploadSettings settings_;
  bool is_direct_;  // no ring
  bool registers_;
  UploadCounters counters_;
  int64_t registering_ = 0;  // nanoseconds
  int64_t registered_now_ = 0;
  std::optional<std::chrono::steady_clock::time_point> began_;
  std::unique_ptr<UploadRing> ring_;
  int64_t ring_reading_ = 0, ring_copying_ = 0;  // of this ring, counted already
  std::vector<Registered> registered_;
  std::optional<device::Stream> straight_;  // goes, and waits, before what it copies from
};

}  // namespace arrowmind::runtime
