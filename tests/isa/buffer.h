#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace arrowmind::isa_test {

// `size` elements whose end touches memory nobody may read or write: a kernel that goes past it dies here.
// With an alignment, up to `alignment` - 1 bytes lie between.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size, size_t alignment = sizeof(T)) : size_(size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = static_cast<size_t>(size) * sizeof(T);
    const size_t usable = (bytes + alignment + page - 1) / page * page;
    length_ = usable + page;
    mapped_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    char* end = static_cast<char*>(mapped_) + usable;
    mprotect(end, page, PROT_NONE);
    const size_t slack = (reinterpret_cast<uintptr_t>(end) - bytes) % alignment;
    data_ = reinterpret_cast<T*>(end - bytes - slack);
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (mapped_ != nullptr) munmap(mapped_, length_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  void swap(Buffer& other) {
    std::swap(mapped_, other.mapped_);
    std::swap(length_, other.length_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  void* mapped_ = nullptr;
  size_t length_ = 0;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

// Fills a buffer by calling make() for each element in order, and returns it.
template <typename T, typename Make>
Buffer<T> filled(int64_t size, const Make& make, size_t alignment = sizeof(T)) {
  Buffer<T> buffer(size, alignment);
  for (T& element : buffer) element = static_cast<T>(make());
  return buffer;
}

}  // namespace arrowmind::isa_test
