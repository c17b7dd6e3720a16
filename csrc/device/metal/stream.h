#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "device/metal/driver.h"

namespace arrowmind::metal {

// Where a stream stood when an event was recorded.
struct Mark {
  std::shared_ptr<Batch> batch;  // what it ended with
  std::shared_ptr<Signal> signal;
  uint64_t value;
};

// Work in the order of its calls, gathered in batches. Memory is the host's as well: copies from and to the
// host wait for what came before, and are done when they return.
class Stream {
 public:
  explicit Stream(Gpu& gpu) : queue_(gpu.make_queue()), signal_(gpu.make_signal()) {}

  void launch(const Dispatch& dispatch);
  void copy_within(const std::shared_ptr<Buffer>& to, int64_t to_offset, const std::shared_ptr<Buffer>& from,
                   int64_t from_offset, int64_t bytes);
  void copy_on_host(void* to, const void* from, int64_t bytes);
  std::shared_ptr<const Mark> record();
  void wait(const Mark& mark);
  // Refuses when any work since the last failure told did fail.
  void settle();

 private:
  // The lock is held. The batch that work goes into.
  Batch& open();
  void submit();
  void settle_locked();
  void count_one();

  std::mutex mutex_;
  std::unique_ptr<Queue> queue_;
  std::shared_ptr<Signal> signal_;
  uint64_t value_ = 0;
  std::shared_ptr<Batch> open_;  // null: nothing was asked since the last was committed
  int count_ = 0;                // of what is in it
  std::deque<std::shared_ptr<Batch>> submitted_;
};

}  // namespace arrowmind::metal
