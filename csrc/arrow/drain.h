#pragma once

#include <cstdint>

namespace arrowmind::arrow {

// A pipe into nothing. What of a file goes through it comes into the system's cache as it does for who reads
// it, and is copied nowhere.
class Drain {
 public:
  Drain();
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Bytes of a file from `offset` on that went through, `size` at most and 1 MB; 0 at its end; -1 where they
  // cannot be read, or the system or the file has no such way.
  int64_t pass(int descriptor, int64_t offset, int64_t size);

 private:
  bool empty(int64_t size);

  int pipe_[2] = {-1, -1};
  int nothing_ = -1;
};

}  // namespace arrowmind::arrow
