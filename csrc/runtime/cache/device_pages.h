#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/resources.h"

namespace arrowmind::runtime {

// Pages in the memory of a device: of each kind in one buffer, which grows by copies of itself. Work on them
// is submitted in order and waited for by wait(). Every function but the destructor and give() throws
// DeviceFailure. Not safe from several threads at once.
class DevicePages {
 public:
  // Of a kind of pages.
  struct Size {
    int64_t bytes;     // of one, a multiple of 64
    int64_t expected;  // as many are likely to be there at once
  };
  // `sizes`: of the kinds; together at most `bound` bytes are asked for.
  // `constants` are what kernels read beside the pages.
  DevicePages(std::shared_ptr<device::Device> device, const std::vector<Size>& sizes, int64_t bound,
              const std::vector<float>& constants);

  // A page nobody has; its contents are numbers, and undefined.
  int64_t take(int kind);
  void give(int kind, int64_t slot);
  void copy(int kind, int64_t from, int64_t to);
  void read(int kind, int64_t slot, char* to);
  void write(int kind, int64_t slot, const char* from);
  void wait() { stream_.synchronise(); }

  const std::shared_ptr<device::Device>& device() const { return device_; }
  const device::Buffer& buffer(int kind) const { return *kinds_[static_cast<size_t>(kind)].buffer; }
  bool has_pages(int kind) const { return kinds_[static_cast<size_t>(kind)].buffer.has_value(); }
  const device::Buffer& constants() const { return constants_; }
  // Where a page begins in its buffer, in words of 4 bytes.
  uint32_t word(int kind, int64_t slot) const {
    return static_cast<uint32_t>(slot * kinds_[static_cast<size_t>(kind)].size / 4);
  }
  int64_t bytes() const;  // of all buffers
  // Adds numbers that are others once anything lies elsewhere.
  void identify(std::vector<uint64_t>& numbers) const;

 private:
  struct Kind {
    int64_t size = 0, expected = 0, slots = 0;
    std::vector<int64_t> free;
    std::optional<device::Buffer> buffer;
  };
  Kind& of(int kind) { return kinds_[static_cast<size_t>(kind)]; }
  device::Slice place(int kind, int64_t slot) const;
  void grow(Kind& kind);
  device::Buffer larger(const Kind& kind, int64_t& slots);
  void clear(const device::Buffer& buffer, int64_t begin, int64_t end);

  const std::shared_ptr<device::Device> device_;
  const uint64_t number_;  // of no other in this process
  const int64_t bound_;
  std::vector<Kind> kinds_;
  device::Buffer constants_;
  device::Stream stream_;  // last: it waits for its work before the buffers go
};

}  // namespace arrowmind::runtime
