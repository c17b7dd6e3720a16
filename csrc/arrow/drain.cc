#include "arrow/drain.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace arrowmind::arrow {
namespace {

// Of the pipe: what every user may have. As much is asked of the file at a time.
constexpr int64_t kPiece = 1 << 20;

}  // namespace

#if defined(__linux__)

Drain::Drain() {
  if (::pipe2(pipe_, O_CLOEXEC) != 0) return;
  ::fcntl(pipe_[1], F_SETPIPE_SZ, kPiece);  // else it stays smaller
  nothing_ = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
}

int64_t Drain::pass(int descriptor, int64_t offset, int64_t size) {
  if (nothing_ < 0) return -1;
  loff_t at = offset;
  ssize_t count;
  do {
    count = ::splice(descriptor, &at, pipe_[1], nullptr, static_cast<size_t>(std::min(size, kPiece)), 0);
  } while (count < 0 && errno == EINTR);
  return count > 0 && !empty(count) ? -1 : count;
}

bool Drain::empty(int64_t size) {
  while (size > 0) {
    const ssize_t count = ::splice(pipe_[0], nullptr, nothing_, nullptr, static_cast<size_t>(size), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    size -= count;
  }
  return true;
}

#else

Drain::Drain() = default;
int64_t Drain::pass(int, int64_t, int64_t) {
  return -1;
}

#endif

Drain::~Drain() {
  for (const int descriptor : {pipe_[0], pipe_[1], nothing_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

}  // namespace arrowmind::arrow
