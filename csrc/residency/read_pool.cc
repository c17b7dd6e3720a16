#include "residency/read_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace arrowmind::residency {

ReadPool::ReadPool(int threads) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    stop();
    fail(ErrorKind::kDevice, "no threads to read with (", error.what(), "); check the limit on processes");
  }
}

ReadPool::~ReadPool() {
  stop();
}

void ReadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ReadPool::submit(int owner, bool urgent, Task task) {
  {
    const std::lock_guard lock(mutex_);
    (urgent ? urgent_ : later_).push_back({owner, std::move(task)});
  }
  wake_.notify_one();
}

void ReadPool::hurry(int owner) {
  const std::lock_guard lock(mutex_);
  std::deque<Item> left;
  for (Item& item : later_) (item.owner == owner ? urgent_ : left).push_back(std::move(item));
  later_ = std::move(left);
}

bool ReadPool::forget(int owner, int count) {
  const std::lock_guard lock(mutex_);
  const auto is_its = [owner](const Item& item) { return item.owner == owner; };
  if (std::count_if(later_.begin(), later_.end(), is_its) != count) return false;
  std::erase_if(later_, is_its);
  return true;
}

void ReadPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !urgent_.empty() || !later_.empty(); });
    if (stopping_) return;
    std::deque<Item>& queue = urgent_.empty() ? later_ : urgent_;
    const Task task = std::move(queue.front().task);
    queue.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace arrowmind::residency
