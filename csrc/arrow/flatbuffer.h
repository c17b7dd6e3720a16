#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

// A reader of flatbuffers that trusts nothing: every access checks bounds and alignment, so that no separate
// verification pass is needed. Positions are int64_t relative to the start of the buffer; a buffer is at most
// 64 MiB and stored offsets have 32 bits, so sums of positions cannot overflow.
namespace arrowmind::arrow::flatbuffer {

// The buffer, what it is for messages, and how much may still be read from it. The budgets bound the work on
// buffers that name one table or string many times over, which would otherwise unfold exponentially. Where
// nothing is shared, a table takes at least 8 bytes with the offset that names it, and a string its
// characters.
struct Buffer {
  static constexpr int64_t kTableLimit = 1 << 20;

  Buffer(const uint8_t* bytes, int64_t byte_count, std::string name)
      : data(bytes),
        size(byte_count),
        what(std::move(name)),
        tables_left(std::min(size / 8 + 1, kTableLimit)),
        text_left(size) {}

  const uint8_t* data;
  int64_t size;
  std::string what;  // "<path>: footer"
  mutable int64_t tables_left;
  mutable int64_t text_left;

  [[noreturn]] void damaged(std::string_view why) const {
    fail(ErrorKind::kIntegrity, what, ": ", why, "; the file is damaged, restore or rewrite it");
  }
  // Fails unless [position, position + size) lies inside and position is a multiple of alignment.
  void check(int64_t position, int64_t length, int64_t alignment) const;
  template <typename T>
  T read(int64_t position) const {
    check(position, sizeof(T), sizeof(T));
    T value;
    std::memcpy(&value, data + position, sizeof(T));
    return value;
  }
};

// A vector of scalars, structs or offsets: `count` elements of `item_bytes` from `position`, all inside.
struct Vector {
  int64_t position = 0;
  int64_t count = 0;
};

class Table {
 public:
  static Table root(const Buffer& buffer);

  template <typename T>
  T scalar(int slot, T otherwise) const {
    const int64_t position = field(slot, sizeof(T));
    return position < 0 ? otherwise : buffer_->read<T>(position);
  }
  std::optional<Table> table(int slot) const;
  Table required_table(int slot, std::string_view name) const;
  std::string string(int slot) const;  // UTF-8; empty when absent
  Vector vector(int slot, int64_t item_bytes, int64_t alignment) const;
  Vector tables(int slot) const { return vector(slot, 4, 4); }
  Table element(const Vector& tables, int64_t index) const;
  bool has(int slot) const { return field(slot, 0) >= 0; }
  const Buffer& buffer() const { return *buffer_; }

 private:
  Table(const Buffer& buffer, int64_t position);
  // Position of the field's inline bytes, -1 when the field is absent.
  int64_t field(int slot, int64_t size) const;
  int64_t follow(int64_t position) const { return position + buffer_->read<uint32_t>(position); }

  const Buffer* buffer_;
  int64_t position_;
  int64_t size_;
  int64_t vtable_;
  int64_t vtable_size_;
};

}  // namespace arrowmind::arrow::flatbuffer
