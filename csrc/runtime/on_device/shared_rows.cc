#include "runtime/on_device/shared_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::runtime {
namespace {

// Nothing is not allocated: rows that are none have an address, too.
constexpr int64_t kLeast = 64;

struct Kind {
  std::string_view name;
  int32_t number;
};
// Those whose memory is an address that other libraries can use.
constexpr std::array<Kind, 3> kKinds = {{{"cpu", 1}, {"cuda", 2}, {"rocm", 10}}};

int64_t size_of(int64_t rows, int64_t columns) {
  int64_t values = 0, bytes = 0;
  const bool is_size = rows >= 0 && columns >= 1 && !__builtin_mul_overflow(rows, columns, &values) &&
                       !__builtin_mul_overflow(values, int64_t{sizeof(float)}, &bytes);
  if (!is_size) fail(ErrorKind::kInvalidArgument, "rows of shape [", rows, ", ", columns, "] are none");
  return std::max(bytes, kLeast);
}

}  // namespace

SharedRows::SharedRows(Memory memory, int64_t rows, int64_t columns)
    : memory_(std::move(memory)), rows_(rows), columns_(columns) {
  if (auto* own = std::get_if<AlignedBuffer>(&memory_)) host_ = own->as<float>();
}

std::shared_ptr<SharedRows> SharedRows::on(const std::shared_ptr<device::Device>& device, int64_t rows,
                                           int64_t columns) {
  return std::shared_ptr<SharedRows>(new SharedRows(device->allocate(size_of(rows, columns)), rows, columns));
}

std::shared_ptr<SharedRows> SharedRows::here(int64_t rows, int64_t columns) {
  return std::shared_ptr<SharedRows>(new SharedRows(AlignedBuffer(size_of(rows, columns)), rows, columns));
}

std::string SharedRows::device_name() const {
  return buffer() == nullptr ? "cpu" : buffer()->device()->name();
}

SharedRows::Address SharedRows::address() const {
  if (host_ != nullptr) return {host_, kKinds[0].number, 0};
  const std::string name = device_name();
  const std::string_view kind = std::string_view(name).substr(0, name.find(':'));
  const auto* const found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& one) { return one.name == kind; });
  if (found == kKinds.end()) {
    fail(ErrorKind::kInvalidArgument, "[", name,
         "] its memory has no address that other libraries could use; take to_numpy(), or run the model with "
         "device='cpu'");
  }
  Address address = {reinterpret_cast<void*>(buffer()->handle()), found->number, 0};
  const size_t digits = std::min(kind.size() + 1, name.size());
  std::from_chars(name.data() + digits, name.data() + name.size(), address.device_id);
  return address;
}

std::shared_ptr<SharedRows> SharedRows::copy() const {
  if (buffer() == nullptr) return copy_here();
  const std::shared_ptr<SharedRows> made = on(buffer()->device(), rows_, columns_);
  if (bytes() == 0) return made;
  device::Stream stream = buffer()->device()->stream();
  stream.copy_within({made->buffer(), 0}, {buffer(), 0}, bytes());
  stream.synchronise();
  return made;
}

std::shared_ptr<SharedRows> SharedRows::copy_here() const {
  std::shared_ptr<SharedRows> made = here(rows_, columns_);
  copy_out(made->host_);
  return made;
}

void SharedRows::copy_out(float* to) const {
  if (bytes() == 0) return;
  if (host_ != nullptr) {
    std::memcpy(to, host_, static_cast<size_t>(bytes()));
    return;
  }
  device::Stream stream = buffer()->device()->stream();
  stream.copy_out(to, {buffer(), 0}, bytes());
  stream.synchronise();
}

}  // namespace arrowmind::runtime
