#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/checked.h"

namespace arrowmind {

// Uninitialised memory on a cache-line boundary, which also is what the widest vector load wants.
class AlignedBuffer {
 public:
  static constexpr int64_t kAlignment = 64;

  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size_bytes) { resize(size_bytes); }

  // Contents are lost when the buffer grows; a smaller size keeps the memory.
  void resize(int64_t size_bytes) {
    if (size_bytes <= capacity_) return;
    data_.reset();
    capacity_ = 0;
    void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(round_up(size_bytes, kAlignment)));
    if (memory == nullptr) throw std::bad_alloc();
    data_.reset(memory);
    capacity_ = size_bytes;
  }

  template <typename T>
  T* as() {
    return static_cast<T*>(data_.get());
  }
  int64_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> data_;
  int64_t capacity_ = 0;
};

}  // namespace arrowmind
