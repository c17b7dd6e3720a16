#include "residency/slots.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "residency/spare_memory.h"

namespace arrowmind::residency {

Slots::~Slots() {
  if (data_ != nullptr) ::munmap(data_, static_cast<size_t>(bytes_));
}

void Slots::reserve(int64_t slot_bytes, int64_t count) {
  slot_bytes_ = slot_bytes;
  bytes_ = slot_bytes * count;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* place = ::mmap(nullptr, static_cast<size_t>(bytes_), PROT_READ | PROT_WRITE, flags, -1, 0);
  if (place == MAP_FAILED) {
    fail(ErrorKind::kWeight, "no address space for ", bytes_, " bytes (", std::strerror(errno),
         "); check the limit on address space (ulimit -v)");
  }
  data_ = static_cast<uint8_t*>(place);
  for (int64_t slot = 0; slot < count; ++slot) cold_.push(static_cast<int32_t>(slot));
}

void Slots::allow_huge(int64_t bytes) {
#ifdef MADV_HUGEPAGE
  const int64_t whole = std::min(bytes, bytes_) / SpareMemory::kHuge * SpareMemory::kHuge;
  if (whole > 0) ::madvise(data_, static_cast<size_t>(whole), MADV_HUGEPAGE);  // else small ones serve
#else
  (void)bytes;
#endif
}

int32_t Slots::take() {
  if (!warm_.empty()) {
    const int32_t slot = warm_.back();
    warm_.pop_back();
    return slot;
  }
  const int32_t slot = cold_.top();
  cold_.pop();
  return slot;
}

void Slots::give(int32_t slot) {
  warm_.push_back(slot);
}

void Slots::shrink(int64_t most) {
  while (spare_bytes() > std::max<int64_t>(most, 0)) {
    const int32_t slot = warm_.back();
    warm_.pop_back();
    ::madvise(address(slot), static_cast<size_t>(slot_bytes_), MADV_DONTNEED);
    cold_.push(slot);
  }
}

}  // namespace arrowmind::residency
