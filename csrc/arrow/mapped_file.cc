#include "arrow/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "arrow/drain.h"
#include "arrow/utf8.h"
#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::arrow {
namespace {

// All mappings by their first address. Never destroyed: files may outlive what is static.
struct Mappings {
  std::mutex mutex;
  std::map<uintptr_t, const MappedFile*> by_address;
};
Mappings& mappings() {
  static auto* const all = new Mappings;
  return *all;
}

// Of bring(): large enough for the speed of a disk where the system itself reads little ahead.
constexpr int64_t kPiece = 2 << 20;
// Of is_cached(): one byte of so many is looked for.
constexpr int64_t kSample = 64 << 10;

uintptr_t number(const void* address) {
  return reinterpret_cast<uintptr_t>(address);
}

}  // namespace

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
  const std::lock_guard lock(mappings().mutex);
  mappings().by_address[number(data_)] = this;
}

MappedFile::~MappedFile() {
  {
    const std::lock_guard lock(mappings().mutex);
    const auto found = mappings().by_address.find(number(data_));
    if (found != mappings().by_address.end() && found->second == this) mappings().by_address.erase(found);
  }
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
  ::close(descriptor_);
}

void MappedFile::check_range(int64_t offset, int64_t size) const {
  if (range_fits(offset, size, size_)) return;
  fail(ErrorKind::kInvalidArgument, path_, ": has ", size_, " bytes, not ", size, " at ", offset);
}

void MappedFile::forget_pages(int64_t offset, int64_t size) const {
  check_range(offset, size);
  if (size == 0) return;
  const Pages range = pages(data_ + offset, size);
  ::madvise(const_cast<void*>(range.begin), static_cast<size_t>(range.bytes), MADV_DONTNEED);
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

void MappedFile::read_ahead(const std::vector<std::pair<int64_t, int64_t>>& ranges) const {
  for (const auto& [offset, size] : ranges) check_range(offset, size);
  for (const auto& [offset, size] : ranges) {
    if (!bring(offset, size)) return;
  }
}

// Asked for by advice (POSIX_FADV_WILLNEED) Linux fills its cache with single pages, asked for in order by
// large ones: 2.5 GB/s of a virtual disk instead of 1.05, a quarter of the processor time. Where they cannot
// go through a drain they are copied, and the copies thrown away.
bool MappedFile::bring(int64_t offset, int64_t size) const {
  std::optional<Drain> drain;
  std::vector<uint8_t> copy;
  for (int64_t at = offset, end = offset + size; at < end;) {
    const int64_t piece = std::min(kPiece, end - at);
    if (is_cached(at, piece)) {
      at += piece;
      continue;
    }
    if (!drain) drain.emplace();
    int64_t count = copy.empty() ? drain->pass(descriptor_, at, piece) : -1;
    if (count < 0) {
      copy.resize(static_cast<size_t>(piece));
      count = ::pread(descriptor_, copy.data(), copy.size(), at);
      if (count < 0 && errno == EINTR) continue;
    }
    if (count <= 0) return false;
    at += count;
  }
  return true;
}

bool MappedFile::is_cached(int64_t offset, int64_t size) const {
#ifdef RWF_NOWAIT
  uint8_t byte;
  const iovec place{&byte, 1};
  const auto is_there = [&](int64_t at) { return ::preadv2(descriptor_, &place, 1, at, RWF_NOWAIT) == 1; };
  for (int64_t at = offset; at < offset + size; at += kSample) {
    if (!is_there(at)) return false;
  }
  return is_there(offset + size - 1);
#else
  (void)offset;
  (void)size;
  return false;
#endif
}

std::vector<uint8_t> MappedFile::read(int64_t offset, int64_t size) const {
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  read_to(offset, size, bytes.data());
  return bytes;
}

void MappedFile::read_to(int64_t offset, int64_t size, void* to) const {
  auto* bytes = static_cast<uint8_t*>(to);
  for (int64_t done = 0; done < size;) {
    const ssize_t count = ::pread(descriptor_, bytes + done, static_cast<size_t>(size - done), offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorKind::kWeight, path_, ": cannot be read (", std::strerror(errno), ")");
    if (count == 0) {
      fail(ErrorKind::kIntegrity, path_, ": became shorter while it was read; restore it and open it again");
    }
    done += count;
  }
}

bool MappedFile::is_resident(int64_t offset, int64_t size) const {
#ifdef __linux__
  const Pages range = pages(data_ + offset, size);
  std::vector<unsigned char> there(static_cast<size_t>(range.bytes / ::sysconf(_SC_PAGESIZE)));
  if (::mincore(const_cast<void*>(range.begin), static_cast<size_t>(range.bytes), there.data()) != 0) {
    return true;
  }
  for (const unsigned char one : there) {
    if ((one & 1) == 0) return false;
  }
#else
  (void)offset;
  (void)size;
#endif
  return true;
}

std::optional<MappedFile::Part> MappedFile::find(const void* address, int64_t bytes) {
  const std::lock_guard lock(mappings().mutex);
  auto after = mappings().by_address.upper_bound(number(address));
  if (after == mappings().by_address.begin()) return std::nullopt;
  const auto& [begin, file] = *--after;
  const auto offset = static_cast<int64_t>(number(address) - begin);
  if (offset > file->size() || bytes > file->size() - offset) return std::nullopt;
  return Part{file, offset};
}

MappedFile::Pages MappedFile::pages(const void* address, int64_t bytes) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = number(address) / page * page;
  const uintptr_t end = (number(address) + static_cast<uintptr_t>(bytes) + page - 1) / page * page;
  return {reinterpret_cast<const void*>(begin), static_cast<int64_t>(end - begin)};
}

}  // namespace arrowmind::arrow
