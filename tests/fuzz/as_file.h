#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "arrow/column.h"
#include "arrow/mapped_file.h"
#include "base/checked.h"
#include "base/crc32c.h"

// What the targets have in common: the input as a file, and a check that a range of it can be read.
namespace arrowmind::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// The path of a file in memory with this content; the next call replaces it.
inline const std::string& as_file(const void* content, size_t size) {
  static const int descriptor = ::memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  require(::ftruncate(descriptor, static_cast<off_t>(size)) == 0);
  require(::pwrite(descriptor, content, size, 0) == static_cast<ssize_t>(size));
  return path;
}

// Reads the range through the mapping. A pointer outside the file but inside its last page is seen by no
// sanitizer, so the range is compared with the file first.
inline void touch(const arrow::MappedFile& file, arrow::FileRange range) {
  require(range_fits(range.offset, range.size, file.size()));
  static volatile uint32_t sink = 0;
  sink = sink + crc32c(file.data() + range.offset, range.size);
}

}  // namespace arrowmind::fuzz
