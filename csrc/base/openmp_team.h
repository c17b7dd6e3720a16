#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace arrowmind {

// The threads of an OpenMP runtime that the process has loaded for somebody else (torch). They spin on their
// processors for milliseconds after each of their own regions: threads of ours would share processors with
// them, and two threads would take as long as one.
class OpenMpTeam {
 public:
  // GOMP_parallel of the GNU ABI, which LLVM's and Intel's runtimes offer, too.
  using Parallel = void (*)(void (*function)(void*), void* data, unsigned threads, unsigned flags);

  // Throws Error(kInvalidArgument) unless there is a function, and 1 <= threads <= 1024.
  OpenMpTeam(Parallel parallel, int threads);

  int threads() const { return threads_; }

  // As ThreadPool::run. The runtime may give fewer threads, and in a forked child the caller works alone:
  // GNU's runtime does not survive a fork.
  void run(int64_t tasks, const ThreadPool::Body& body) const;

 private:
  Parallel parallel_;
  int threads_;
  int process_;
};

}  // namespace arrowmind
