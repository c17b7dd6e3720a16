#pragma once

// Streams and events of the `cpu` device: a thread for each stream, so that order, overlap and events are
// those of a GPU.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace arrowmind::device {

// One record of an event. Tasks hold it, so that the event may be recorded anew or go away before they ran.
class CpuMark {
 public:
  void reach();
  void wait();
  bool is_reached() const;
  std::chrono::steady_clock::time_point when() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_reached_ = false;
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
