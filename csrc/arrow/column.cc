#include "arrow/column.h"

#include <bit>
#include <cstring>

namespace arrowmind::arrow {
namespace {

int64_t count_ones(const uint8_t* bits, int64_t length) {
  int64_t ones = 0;
  int64_t i = 0;
  for (; i + 64 <= length; i += 64) {
    uint64_t word;
    std::memcpy(&word, bits + i / 8, sizeof(word));
    ones += std::popcount(word);
  }
  for (; i < length; ++i) ones += (bits[i >> 3] >> (i & 7)) & 1;
  return ones;
}

}  // namespace

Bytes::Bytes(const std::shared_ptr<const MappedFile>& file, FileRange range) : size_(range.size) {
  if (range.size <= kPrivateLimit) {
    copy_ = file->read(range.offset, range.size);
  } else {
    file_ = file;
    offset_ = range.offset;
  }
}

Validity::Validity(const std::shared_ptr<const MappedFile>& file, const Column& column) {
  if (column.null_count == 0) return;
  bits_ = Bytes(file, {column.validity.offset, (column.length + 7) / 8});
  const int64_t nulls = column.length - count_ones(bits_.data(), column.length);
  if (nulls != column.null_count) {
    fail(ErrorKind::kIntegrity, file->path(), ": column '", column.field->name, "' declares ",
         column.null_count, " nulls but marks ", nulls, "; the file is damaged, restore or rewrite it");
  }
}

Offsets::Offsets(const std::shared_ptr<const MappedFile>& file, const Column& column)
    : wide_(column.field->info().offset_bytes == 8) {
  const int64_t item = column.field->info().offset_bytes;
  if (column.length == 0) return;  // may leave out its one offset
  bytes_ = Bytes(file, {column.offsets.offset, (column.length + 1) * item});
  wide_ ? check<int64_t>(file->path(), column) : check<int32_t>(file->path(), column);
}

template <typename T>
void Offsets::check(const std::string& path, const Column& column) const {
  const int64_t limit = column.children.empty() ? column.values.size : column.children[0].length;
  // Branch-free over the rows, so that it runs at the speed of memory.
  bool sound = load<T>(0) >= 0 && load<T>(column.length) <= limit;
  for (int64_t i = 0; i < column.length; ++i) sound &= load<T>(i) <= load<T>(i + 1);
  if (!sound) {
    fail(ErrorKind::kIntegrity, path, ": column '", column.field->name, "' has offsets that leave its ",
         limit, column.children.empty() ? " bytes" : " values",
         "; the file is damaged, restore or rewrite it");
  }
}

}  // namespace arrowmind::arrow
