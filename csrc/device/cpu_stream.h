#pragma once

// Streams and events of the `cpu` device: a thread for each stream, so that order, overlap and events are
// those of a GPU.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace arrowmind::device {

// The records of one event. Tasks hold it, so that an event may go away before they ran.
class CpuMarks {
 public:
  // The number of the record that is submitted now, and of the last one submitted.
  int64_t submit();
  int64_t submitted() const;
  void reach(int64_t record);
  void wait_for(int64_t record);
  bool is_reached() const;  // the last record submitted; true when there was none
  std::chrono::steady_clock::time_point when() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t submitted_ = 0, reached_ = 0;
  std::chrono::steady_clock::time_point when_ = {};
};

class CpuStream {
 public:
  using Task = std::function<void()>;
  CpuStream();
  ~CpuStream();  // runs what was submitted
  CpuStream(const CpuStream&) = delete;
  CpuStream& operator=(const CpuStream&) = delete;

  void submit(Task task);
  void synchronise();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool is_working_ = false, is_ending_ = false;
  std::thread worker_;  // the last to be made
};

}  // namespace arrowmind::device
