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
#include <system_error>
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

// Counts the forks this process descends from: a pool whose workers belong to another generation has none.
std::atomic<uint64_t> fork_generation{0};
// Guards the creation of workers. Held across fork(), so that a child never inherits it locked.
std::mutex creation;

void register_fork_handlers() {
  static const int registered = pthread_atfork([] { creation.lock(); }, [] { creation.unlock(); },
                                               [] {
                                                 fork_generation.fetch_add(1);
                                                 creation.unlock();
                                               });
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
  std::deque<Job*> jobs;            // guarded by mutex
  bool stopping = false;            // guarded by mutex
  std::atomic<uint64_t> events{0};  // counts posts and the stop, for spinning without the lock
  std::vector<std::thread> workers;
  uint64_t generation = fork_generation.load();

  explicit State(int threads) {
    try {
      for (int worker = 1; worker < threads; ++worker) workers.emplace_back([this, worker] { loop(worker); });
    } catch (const std::system_error& error) {
      const size_t started = workers.size();
      stop();
      fail(ErrorKind::kDevice, "threads=", threads, ": the system gave only ", started + 1, " (",
           error.what(), "); use fewer or raise its limit");
    }
  }

  ~State() { stop(); }

  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
      events.fetch_add(1);
    }
    work_arrived.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
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
    while (Job* job = next_job()) {
      job->work(worker);
      leave_job(job);
    }
  }

  // Waits for a job with tasks left; null when the pool stops. A worker that finds none stays awake until
  // the next post, even while the job it has just left is still being finished by others.
  Job* next_job() {
    Job* job = nullptr;
    const auto ready = [&] { return stopping || (job = join_job()) != nullptr; };
    uint64_t seen = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (ready()) return job;
      seen = events.load(std::memory_order_relaxed);
    }
    spin_until([&] { return events.load(std::memory_order_acquire) != seen; });
    std::unique_lock<std::mutex> lock(mutex);
    work_arrived.wait(lock, ready);
    return job;
  }

  void post(Job* job) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      jobs.push_back(job);
      events.fetch_add(1, std::memory_order_release);
    }
    work_arrived.notify_all();
  }

  void retire(Job* job) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      jobs.erase(std::find(jobs.begin(), jobs.end(), job));
    }
    // helpers falls to zero as the last thing a worker does with the job, under the lock.
    const auto done = [job] { return job->helpers.load() == 0; };
    if (spin_until(done)) return;
    std::unique_lock<std::mutex> lock(mutex);
    helper_left.wait(lock, done);
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  if (threads < 1 || threads > 1024) {
    fail(ErrorKind::kInvalidArgument, "threads=", threads, " is out of range; use 1 to 1024");
  }
  register_fork_handlers();
}

ThreadPool::~ThreadPool() {
  // In a forked child the parent's workers do not exist: joining them would hang, so their state is leaked.
  if (state_ && state_->generation != fork_generation.load()) state_.release();
}

ThreadPool::State* ThreadPool::current_state() {
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
