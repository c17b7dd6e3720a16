#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace arrowmind {
namespace {

// How long a thread stays awake for the next barrier before it sleeps in the kernel. A forward has a barrier
// every 5-50 us; a sleep and wake-up costs about 50 us. Longer spinning would steal from a busy neighbour.
constexpr std::chrono::microseconds kSpin{60};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

template <typename Ready>
bool spin_until(const Ready& ready) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return ready();
}

std::atomic<uint64_t> fork_generation{0};

void register_fork_handler() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { fork_generation.fetch_add(1); });
  if (registered != 0) fail(ErrorKind::kDevice, "pthread_atfork failed with ", registered);
}

struct Job {
  Job(const ThreadPool::Body* job_body, int64_t count) : body(job_body), tasks(count) {}

  const ThreadPool::Body* body;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<int> helpers{0};  // workers inside the job; the caller waits for zero
  std::mutex error_mutex;
  std::exception_ptr error;

  bool exhausted() const { return next.load(std::memory_order_relaxed) >= tasks; }

  void work(int worker) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      try {
        (*body)(task, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(tasks, std::memory_order_relaxed);
      }
    }
  }
};

}  // namespace

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable work_arrived;
  std::condition_variable helper_left;
  std::deque<Job*> jobs;          // guarded by mutex
  std::atomic<int> job_count{0};  // size of jobs, for spinning without the lock
  std::atomic<bool> stopping{false};
  std::vector<std::thread> workers;
  uint64_t generation = fork_generation.load();

  explicit State(int threads) {
    for (int worker = 1; worker < threads; ++worker) workers.emplace_back([this, worker] { loop(worker); });
  }

  ~State() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
    }
    work_arrived.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  // Joins the first job with tasks left, or returns null. Entered under the lock, so that a caller that
  // removed its job knows no further helper can join.
  Job* join_job() {
    for (Job* job : jobs) {
      if (job->exhausted()) continue;
      job->helpers.fetch_add(1);
      return job;
    }
    return nullptr;
  }

  void leave_job(Job* job) {
    const std::lock_guard<std::mutex> lock(mutex);
    job->helpers.fetch_sub(1);
    helper_left.notify_all();
  }

  void loop(int worker) {
    while (true) {
      spin_until([this] { return stopping.load() || job_count.load(std::memory_order_acquire) > 0; });
      Job* job = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex);
        work_arrived.wait(lock, [&] { return stopping || (job = join_job()) != nullptr; });
        if (job == nullptr) return;
      }
      job->work(worker);
      leave_job(job);
    }
  }

  void post(Job* job) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      jobs.push_back(job);
      job_count.fetch_add(1, std::memory_order_release);
    }
    work_arrived.notify_all();
  }

  void retire(Job* job) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      jobs.erase(std::find(jobs.begin(), jobs.end(), job));
      job_count.fetch_sub(1);
    }
    if (spin_until([job] { return job->helpers.load() == 0; })) {
      // A helper that counted down may still hold the lock it notifies under: pass through it once.
      const std::lock_guard<std::mutex> lock(mutex);
      return;
    }
    std::unique_lock<std::mutex> lock(mutex);
    helper_left.wait(lock, [job] { return job->helpers.load() == 0; });
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  if (threads < 1 || threads > 1024) {
    fail(ErrorKind::kInvalidArgument, "threads=", threads, " is out of range; use 1 to 1024");
  }
  register_fork_handler();
}

ThreadPool::~ThreadPool() {
  // In a forked child the parent's workers do not exist: joining them would hang, so their state is leaked.
  if (state_ && state_->generation != fork_generation.load()) state_.release();
}

ThreadPool::State* ThreadPool::current_state() {
  static std::mutex creation;
  const std::lock_guard<std::mutex> lock(creation);
  if (state_ && state_->generation != fork_generation.load()) state_.release();
  if (!state_) state_ = std::make_unique<State>(threads_);
  return state_.get();
}

void ThreadPool::run(int64_t tasks, const Body& body) {
  if (tasks <= 0) return;
  Job job(&body, tasks);
  const bool alone = threads_ == 1 || tasks == 1;
  State* state = alone ? nullptr : current_state();
  if (state != nullptr) state->post(&job);
  job.work(0);
  if (state != nullptr) state->retire(&job);
  if (job.error) std::rethrow_exception(job.error);
}

int available_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace arrowmind
