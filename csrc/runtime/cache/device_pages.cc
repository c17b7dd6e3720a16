#include "runtime/cache/device_pages.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "device/kernels.h"

namespace arrowmind::runtime {
namespace {

// Pages of a kind that are there at first.
constexpr int64_t kFirstPages = 16;
// Kernels count words of 4 bytes in 32 bits.
constexpr int64_t kMostBytes = int64_t{1} << 34;
// Of one launch that clears.
constexpr int64_t kMostCleared = int64_t{1} << 26;

uint64_t next_number() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

}  // namespace

DevicePages::DevicePages(std::shared_ptr<device::Device> device, const std::vector<Size>& sizes,
                         int64_t bound, const std::vector<float>& constants)
    : device_(std::move(device)),
      number_(next_number()),
      bound_(bound),
      constants_(device_->allocate(std::max<int64_t>(64, static_cast<int64_t>(constants.size()) * 4))),
      stream_(device_->stream()) {
  for (const Size& size : sizes) {
    kinds_.push_back({.size = size.bytes, .expected = size.expected, .slots = 0, .free = {}, .buffer = {}});
  }
  if (constants.empty()) return;
  stream_.copy_in({&constants_, 0}, constants.data(), static_cast<int64_t>(constants.size()) * 4);
  wait();
}

void DevicePages::identify(std::vector<uint64_t>& numbers) const {
  numbers.insert(numbers.end(), {number_, constants_.handle()});
  for (const Kind& kind : kinds_) numbers.push_back(kind.buffer ? kind.buffer->handle() : 0);
}

device::Slice DevicePages::place(int kind, int64_t slot) const {
  const Kind& one = kinds_[static_cast<size_t>(kind)];
  return {&*one.buffer, slot * one.size};
}

int64_t DevicePages::take(int kind) {
  Kind& one = of(kind);
  if (one.free.empty()) grow(one);
  const int64_t slot = one.free.back();
  one.free.pop_back();
  return slot;
}

void DevicePages::give(int kind, int64_t slot) {
  Kind& one = of(kind);
  one.free.push_back(slot);
  if (static_cast<int64_t>(one.free.size()) < one.slots) return;
  one.free.clear();
  one.slots = 0;
  one.buffer.reset();
}

// Twice as many pages; a few more where the device has no room for that.
device::Buffer DevicePages::larger(const Kind& kind, int64_t& slots) {
  const int64_t most = std::min(std::max<int64_t>(1, bound_ / kind.size), kMostBytes / kind.size);
  if (kind.slots >= most) {
    throw device::DeviceFailure(device::Failure::kOutOfMemory,
                                cat("[", device_->name(), "] ", kind.slots, " pages of ", kind.size,
                                    " bytes are the most that a cache has there"));
  }
  slots = std::min(most, std::max(kFirstPages, 2 * kind.slots));
  if (device_->limit() > 0 && kind.slots == 0) {
    // Room is set aside for all of them: growing by copies would take twice as much.
    slots = std::clamp<int64_t>(kind.expected, 1, most);
  }
  try {
    return device_->allocate(slots * kind.size);
  } catch (const device::DeviceFailure& failure) {
    const int64_t fewer = std::min(most, kind.slots + kFirstPages / 4);
    if (failure.failure() != device::Failure::kOutOfMemory || fewer >= slots) throw;
    slots = fewer;
    return device_->allocate(slots * kind.size);
  }
}

void DevicePages::grow(Kind& kind) {
  int64_t slots = 0;
  device::Buffer made = larger(kind, slots);
  // What no token was written to is read, and not used: it must be numbers that cost no time.
  clear(made, kind.slots * kind.size, slots * kind.size);
  if (kind.buffer) stream_.copy_within({&made, 0}, {&*kind.buffer, 0}, kind.slots * kind.size);
  wait();
  kind.free.reserve(static_cast<size_t>(slots));
  for (int64_t slot = slots - 1; slot >= kind.slots; --slot) kind.free.push_back(slot);
  kind.buffer = std::move(made);
  kind.slots = slots;
}

void DevicePages::clear(const device::Buffer& buffer, int64_t begin, int64_t end) {
  const uint64_t number = device_->kernel("fill_u32");
  const device::KernelShape shape = device_->kernel_shape(number, "fill_u32");
  for (; begin < end; begin += kMostCleared) {
    const auto words = static_cast<uint32_t>(std::min(kMostCleared, end - begin) / 4);
    const device::FillParameters parameters = {words, 0};
    device::Grid grid;
    grid.groups[0] = static_cast<uint32_t>(ceil_div(int64_t{words}, int64_t{shape.tile[0]}));
    std::copy(std::begin(shape.threads), std::end(shape.threads), std::begin(grid.threads));
    grid.shared_bytes = shape.shared_bytes;
    const device::Slice out = {&buffer, begin};
    stream_.launch(number, grid, {&out, 1}, std::as_bytes(std::span(&parameters, 1)));
  }
}

void DevicePages::copy(int kind, int64_t from, int64_t to) {
  stream_.copy_within(place(kind, to), place(kind, from), of(kind).size);
}

void DevicePages::read(int kind, int64_t slot, char* to) {
  stream_.copy_out(to, place(kind, slot), of(kind).size);
}

void DevicePages::write(int kind, int64_t slot, const char* from) {
  stream_.copy_in(place(kind, slot), from, of(kind).size);
}

int64_t DevicePages::bytes() const {
  int64_t sum = constants_.bytes();
  for (const Kind& kind : kinds_) sum += kind.slots * kind.size;
  return sum;
}

}  // namespace arrowmind::runtime
