#include "bindings/scan_search.h"

#include <map>
#include <memory>
#include <mutex>

namespace arrowmind::bindings {

ThreadPool& pool_of(int threads) {
  static std::mutex mutex;
  static auto* pools = new std::map<int, std::unique_ptr<ThreadPool>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<ThreadPool>& pool = (*pools)[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

}  // namespace arrowmind::bindings
