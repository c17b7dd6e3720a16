#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace arrowmind::residency {

// Threads that read. Urgent tasks come first; others in the order in which they were submitted.
class ReadPool {
 public:
  using Task = std::function<void()>;  // must not throw

  // Throws Error(kDevice) when the system gives no threads.
  explicit ReadPool(int threads);
  // Waits for tasks that run; those that wait are dropped.
  ~ReadPool();
  ReadPool(const ReadPool&) = delete;
  ReadPool& operator=(const ReadPool&) = delete;

  void submit(int owner, bool urgent, Task task);
  // Waiting tasks of `owner` become urgent.
  void hurry(int owner);
  // Drops the waiting tasks of `owner` if there are exactly so many, which are not urgent; whether it did.
  bool forget(int owner, int count);

 private:
  struct Item {
    int owner;
    Task task;
  };

  void stop();
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> urgent_, later_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace arrowmind::residency
