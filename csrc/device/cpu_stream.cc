#include "device/cpu_stream.h"

#include <utility>

namespace arrowmind::device {

void CpuMark::reach() {
  {
    const std::lock_guard lock(mutex_);
    is_reached_ = true;
    when_ = std::chrono::steady_clock::now();
  }
  changed_.notify_all();
}

void CpuMark::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_reached_; });
}

bool CpuMark::is_reached() const {
  const std::lock_guard lock(mutex_);
  return is_reached_;
}

std::chrono::steady_clock::time_point CpuMark::when() const {
  const std::lock_guard lock(mutex_);
  return when_;
}

CpuStream::CpuStream() : worker_([this] { work(); }) {}

CpuStream::~CpuStream() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void CpuStream::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

void CpuStream::synchronise() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return tasks_.empty() && !is_working_; });
}

void CpuStream::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !tasks_.empty() || is_ending_; });
    if (tasks_.empty()) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    is_working_ = true;
    lock.unlock();
    task();
    lock.lock();
    is_working_ = false;
    changed_.notify_all();
  }
}

}  // namespace arrowmind::device
