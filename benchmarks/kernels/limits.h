#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"

namespace arrowmind::bench {

// What this machine can do at most, measured: the peak of one instruction (or pair) on registers, and the
// speed of reading memory.

struct Limit {
  std::string name;    // maddwd_avx2, fma_avx512, ...
  const char* detail;  // the instructions
};

// Limits of the instruction sets enabled here.
std::vector<Limit> instruction_limits();

// Gop/s of all threads together (a multiply-add counts as two); 0 when the name is unknown or cannot run
// here. About 20 ms, so that it can be measured again beside each kernel: clocks change with load and vector
// width.
double measure_instruction(const std::string& name, int threads = 1);

// Reads the same memory at each call, split among threads.
class ReadProbe {
 public:
  ReadProbe(int64_t bytes, int threads);
  void operator()();
  double bytes() const { return static_cast<double>(parts_ * kPart); }

 private:
  static constexpr int64_t kPart = 1 << 20;
  int64_t parts_;
  AlignedBuffer buffer_;
  ThreadPool pool_;
};

// GB/s reading `bytes` of memory over and over with `threads` threads.
double measure_read(int64_t bytes, int threads);

// Bytes of the last cache level, 32 MiB where the system does not tell.
int64_t last_level_cache();

}  // namespace arrowmind::bench
