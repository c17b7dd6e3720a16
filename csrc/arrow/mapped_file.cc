#include "arrow/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arrow/utf8.h"
#include "base/error.h"

namespace arrowmind::arrow {

int MappedFile::open_descriptor(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must fail below, not wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    fail(ErrorKind::kWeight, printable(path), ": cannot be opened (", std::strerror(errno),
         "); check the path and its permissions");
  }
  return descriptor;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const std::shared_ptr<MappedFile> file(new MappedFile(printable(path), open_descriptor(path)));
  file->map();
  return file;
}

void MappedFile::examine() {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) {
    fail(ErrorKind::kWeight, path_, ": cannot be examined (", std::strerror(errno), ")");
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorKind::kWeight, path_, ": is not a regular file; give the path of one");
  }
  size_ = static_cast<int64_t>(status.st_size);
}

void MappedFile::map() {
  examine();
  if (size_ == 0) return;
  void* mapping = ::mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_SHARED, descriptor_, 0);
  if (mapping == MAP_FAILED) {
    fail(ErrorKind::kWeight, path_, ": ", size_, " bytes cannot be mapped (", std::strerror(errno),
         "); check the limit on address space (ulimit -v)");
  }
  data_ = static_cast<const uint8_t*>(mapping);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
  ::close(descriptor_);
}

void MappedFile::forget_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<uint8_t*>(data_), static_cast<size_t>(size_), MADV_DONTNEED);
}

void MappedFile::will_need(int64_t offset, int64_t size) const {
  // Advice: nothing depends on it.
#ifdef POSIX_FADV_WILLNEED
  ::posix_fadvise(descriptor_, offset, size, POSIX_FADV_WILLNEED);
#else
  (void)offset;
  (void)size;
#endif
}

std::vector<uint8_t> MappedFile::read(int64_t offset, int64_t size) const {
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  for (int64_t done = 0; done < size;) {
    const ssize_t count =
        ::pread(descriptor_, bytes.data() + done, static_cast<size_t>(size - done), offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorKind::kWeight, path_, ": cannot be read (", std::strerror(errno), ")");
    if (count == 0) {
      fail(ErrorKind::kIntegrity, path_, ": became shorter while it was read; restore it and open it again");
    }
    done += count;
  }
  return bytes;
}

}  // namespace arrowmind::arrow
