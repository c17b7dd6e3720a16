#include "arrow/on_demand_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arrow/utf8.h"
#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::arrow {

std::shared_ptr<const OnDemandFile> OnDemandFile::open(const std::string& path, bool direct) {
  const std::shared_ptr<OnDemandFile> file(new OnDemandFile(printable(path), open_descriptor(path)));
  file->reserve();
  file->past_cache_ = direct;
  if (direct) file->open_direct(path);
  return file;
}

OnDemandFile::~OnDemandFile() {
  if (direct_ >= 0) ::close(direct_);
}

void OnDemandFile::reserve() {
  examine();
  if (size_ == 0) return;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* place = ::mmap(nullptr, static_cast<size_t>(round_up(size_, kPage)), PROT_NONE, flags, -1, 0);
  if (place == MAP_FAILED) {
    fail(ErrorKind::kWeight, path_, ": no address space for ", size_, " bytes (", std::strerror(errno),
         "); check the limit on address space (ulimit -v)");
  }
  data_ = static_cast<const uint8_t*>(place);
}

void OnDemandFile::open_direct(const std::string& path) {
#ifdef O_DIRECT
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
  if (descriptor < 0) return;  // not on this file system
  struct stat one, other;
  const bool same = ::fstat(descriptor_, &one) == 0 && ::fstat(descriptor, &other) == 0 &&
                    one.st_dev == other.st_dev && one.st_ino == other.st_ino;
  if (same) {
    direct_ = descriptor;
  } else {
    ::close(descriptor);  // the name leads to another file by now
  }
#else
  (void)path;
#endif
}

void OnDemandFile::load(int64_t begin, int64_t end) const {
  if (begin >= end) return;
  protect(begin, end, PROT_READ | PROT_WRITE);
  try {
    fill(begin, std::min(end, size_), at(begin));
    protect(begin, end, PROT_READ);
  } catch (...) {
    drop(begin, end);
    throw;
  }
}

void OnDemandFile::read(int64_t begin, int64_t end, uint8_t* to) const {
  fill(begin, std::min(end, size_), to);
}

void OnDemandFile::drop(int64_t begin, int64_t end) const {
  if (begin >= end) return;
  const size_t bytes = static_cast<size_t>(std::min(end, round_up(size_, kPage)) - begin);
  ::mprotect(at(begin), bytes, PROT_NONE);  // fails only for want of memory for the kernel's own tables
  ::madvise(at(begin), bytes, MADV_DONTNEED);
}

void OnDemandFile::hide(int64_t begin, int64_t end) const {
  const size_t bytes = static_cast<size_t>(std::min(end, round_up(size_, kPage)) - begin);
  ::mprotect(at(begin), bytes, PROT_NONE);
}

bool OnDemandFile::take(uint8_t* memory, int64_t bytes, int64_t begin, bool is_own) const {
#ifdef MREMAP_DONTUNMAP
  // No page is copied or zeroed, and the address space of the file stays reserved on both sides.
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (is_own ? 0 : MREMAP_DONTUNMAP);
  const size_t size = static_cast<size_t>(bytes);
  if (::mremap(memory, size, size, flags, at(begin)) != MAP_FAILED) return true;
  // It may have failed after it had made room.
  const int reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  ::mmap(at(begin), size, PROT_NONE, reserved, -1, 0);
#else
  (void)memory;
  (void)bytes;
  (void)begin;
  (void)is_own;
#endif
  return false;
}

void OnDemandFile::fill(int64_t begin, int64_t end, uint8_t* to) const {
  int descriptor = direct_ >= 0 ? direct_ : descriptor_;
  for (int64_t done = begin; done < end;) {
    // Direct reads are of whole pages; the last one comes back short.
    const size_t wanted = static_cast<size_t>(round_up(end - done, kPage));
    const size_t most = descriptor == direct_ ? wanted : static_cast<size_t>(end - done);
    const ssize_t count = ::pread(descriptor, to + (done - begin), most, done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EINVAL && descriptor == direct_) {
      descriptor = descriptor_;  // the disk wants other alignment than a page
      continue;
    }
    if (count < 0) {
      fail(ErrorKind::kIntegrity, path_, ": cannot be read at ", done, " (", std::strerror(errno),
           "); check the disk");
    }
    if (count == 0) {
      fail(ErrorKind::kIntegrity, path_, ": became shorter while it was in use; restore it");
    }
    done += count;
    // A short direct read that is not the end goes on from no page's border.
    if (done < end && done % kPage != 0) descriptor = descriptor_;
  }
#ifdef POSIX_FADV_DONTNEED
  // What went through the page cache against our wish shall not stay there beside our copy.
  if (past_cache_ && descriptor == descriptor_) {
    ::posix_fadvise(descriptor, begin, end - begin, POSIX_FADV_DONTNEED);
  }
#endif
}

void OnDemandFile::protect(int64_t begin, int64_t end, int protection) const {
  const size_t bytes = static_cast<size_t>(std::min(end, round_up(size_, kPage)) - begin);
  if (::mprotect(at(begin), bytes, protection) != 0) {
    fail(ErrorKind::kDevice, path_, ": no memory for ", bytes, " bytes (", std::strerror(errno),
         "); give the model a smaller budget");
  }
}

}  // namespace arrowmind::arrow
