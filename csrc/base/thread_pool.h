#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace arrowmind {

// Fixed set of threads that share the tasks of a call dynamically: a thread held up by a busy neighbour costs
// the share it did not do, and no more. The caller works too, so ThreadPool(1) starts no thread.
//
// Safe under concurrent run() calls from several threads (each caller finishes its own tasks; idle workers
// help whoever came first) and after fork() (the child starts its own workers at its first run()); a body
// must not fork. A body may call run() of the same pool.
class ThreadPool {
 public:
  using Body = std::function<void(int64_t task, int worker)>;

  // Throws Error(kInvalidArgument) unless 1 <= threads <= 1024.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls body(task, worker) once for each task in [0, tasks), and returns when all are done. Within one call
  // no two bodies run at once with the same worker in [0, threads()). The first exception of a body is
  // rethrown here, after the tasks already begun have ended; later tasks are not begun. Throws
  // Error(kDevice) when the system gives no more threads.
  void run(int64_t tasks, const Body& body);

 private:
  struct State;
  State* current_state();

  int threads_;
  std::unique_ptr<State> state_;
};

// Number of processors this process may use (affinity respected), at least 1.
int available_cpus();

}  // namespace arrowmind
