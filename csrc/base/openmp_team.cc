#include "base/openmp_team.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "base/error.h"

namespace arrowmind {
namespace {

struct Work {
  Work(const ThreadPool::Body& task_body, int64_t count) : body(task_body), tasks(count) {}

  const ThreadPool::Body& body;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<int> workers{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  // No exception may leave a region of another runtime.
  static void join(void* data) noexcept {
    Work& work = *static_cast<Work*>(data);
    const int worker = work.workers.fetch_add(1, std::memory_order_relaxed);
    for (int64_t task; (task = work.next.fetch_add(1, std::memory_order_relaxed)) < work.tasks;) {
      try {
        work.body(task, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(work.error_mutex);
        if (!work.error) work.error = std::current_exception();
        work.next.store(work.tasks, std::memory_order_relaxed);
      }
    }
  }
};

}  // namespace

OpenMpTeam::OpenMpTeam(Parallel parallel, int threads)
    : parallel_(parallel), threads_(threads), process_(getpid()) {
  if (parallel == nullptr) fail(ErrorKind::kInvalidArgument, "an OpenMP team without GOMP_parallel");
  if (threads < 1 || threads > 1024) {
    fail(ErrorKind::kInvalidArgument, "threads=", threads, " is out of range; use 1 to 1024");
  }
}

void OpenMpTeam::run(int64_t tasks, const ThreadPool::Body& body) const {
  Work work(body, tasks);
  const int threads = static_cast<int>(std::min<int64_t>(threads_, tasks));
  if (threads <= 1 || getpid() != process_) {
    Work::join(&work);
  } else {
    parallel_(&Work::join, &work, static_cast<unsigned>(threads), 0);
  }
  if (work.error) std::rethrow_exception(work.error);
}

}  // namespace arrowmind
