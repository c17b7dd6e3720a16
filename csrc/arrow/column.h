#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "arrow/mapped_file.h"
#include "arrow/schema.h"

namespace arrowmind::arrow {

// A range of the file, from its first byte.
struct FileRange {
  int64_t offset = 0;
  int64_t size = 0;
};

// Bytes of the file: small ranges are private copies, which leaves the mapping untouched (a fault makes 64
// KiB resident); large ones point into the mapping.
class Bytes {
 public:
  static constexpr int64_t kPrivateLimit = 64 << 10;

  Bytes() = default;
  Bytes(const std::shared_ptr<const MappedFile>& file, FileRange range);
  const uint8_t* data() const { return file_ ? file_->data() + offset_ : copy_.data(); }
  int64_t size() const { return size_; }

 private:
  std::vector<uint8_t> copy_;
  std::shared_ptr<const MappedFile> file_;
  int64_t offset_ = 0;
  int64_t size_ = 0;
};

// One column of a batch: ranges that lie inside the batch body and are large enough for `length` values.
// What offsets and validity bits say is checked when they are loaded.
struct Column {
  const Field* field = nullptr;
  int64_t length = 0;
  int64_t null_count = 0;
  FileRange validity;  // empty when every value is present
  FileRange offsets;   // kVariable, kList
  FileRange values;    // kBits, kFixed, kVariable
  std::vector<Column> children;
};

// Validity bits of a column, checked against its null count.
class Validity {
 public:
  Validity() = default;
  Validity(const std::shared_ptr<const MappedFile>& file, const Column& column);
  bool all() const { return bits_.size() == 0; }
  const Bytes& bits() const { return bits_; }
  bool is_valid(int64_t i) const { return all() || ((bits_.data()[i >> 3] >> (i & 7)) & 1) != 0; }

 private:
  Bytes bits_;
};

// Offsets of a kVariable or kList column: loaded, and checked to be monotone within [0, limit], where limit
// is the size of the values in bytes (kVariable) or the length of the child (kList). O(length).
class Offsets {
 public:
  Offsets() = default;
  Offsets(const std::shared_ptr<const MappedFile>& file, const Column& column);
  // i in [0, length]; not for columns of no rows
  int64_t at(int64_t i) const { return wide_ ? load<int64_t>(i) : load<int32_t>(i); }

 private:
  template <typename T>
  int64_t load(int64_t i) const {
    T offset;
    std::memcpy(&offset, bytes_.data() + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return offset;
  }
  template <typename T>
  void check(const std::string& path, const Column& column) const;

  Bytes bytes_;
  bool wide_ = false;
};

}  // namespace arrowmind::arrow
