#include "arrow/c_import.h"

#include <charconv>
#include <cstring>

#include "arrow/utf8.h"
#include "base/error.h"

namespace arrowmind::arrow {
namespace {

constexpr std::string_view kListPrefix = "+w:";
constexpr std::string_view kTimestampPrefix = "tsu:";

[[noreturn]] void not_served(std::string_view format) {
  fail(ErrorKind::kInvalidArgument, "an Arrow array of format '", printable(format),
       "' is not served; give one column of numbers, of fixed-size lists of numbers, or of text");
}

TypeId number_type(std::string_view format) {
  if (format.starts_with(kTimestampPrefix)) return TypeId::kTimestamp;
  constexpr TypeId kNumbers[] = {TypeId::kBool,   TypeId::kInt8,    TypeId::kInt16,   TypeId::kInt32,
                                 TypeId::kInt64,  TypeId::kUInt8,   TypeId::kUInt16,  TypeId::kUInt32,
                                 TypeId::kUInt64, TypeId::kFloat16, TypeId::kFloat32, TypeId::kFloat64};
  for (const TypeId type : kNumbers) {
    if (type_info(type).format == format) return type;
  }
  not_served(format);
}

bool bit_at(const void* bits, int64_t i) {
  return ((static_cast<const uint8_t*>(bits)[i >> 3] >> (i & 7)) & 1) != 0;
}

template <typename T>
T load(const void* base, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const uint8_t*>(base) + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Producers may leave the count of nulls open (-1).
int64_t count_nulls(const ArrowArray& array) {
  if (array.null_count >= 0 || array.buffers[0] == nullptr) return std::max<int64_t>(array.null_count, 0);
  int64_t nulls = 0;
  for (int64_t i = 0; i < array.length; ++i) nulls += bit_at(array.buffers[0], array.offset + i) ? 0 : 1;
  return nulls;
}

void release_array(ArrowArray* array) {
  if (array->release != nullptr) array->release(array);
  delete array;
}

}  // namespace

ImportedColumn::ImportedColumn(const ArrowSchema& schema, ArrowArray* array)
    : array_(new ArrowArray(*array), &release_array) {
  array->release = nullptr;
  const std::string_view format(schema.format);
  if (schema.dictionary != nullptr) not_served(cat(format, " with a dictionary"));
  if (format.starts_with(kListPrefix)) {
    const std::string_view digits = format.substr(kListPrefix.size());
    std::from_chars(digits.data(), digits.data() + digits.size(), width_);
    if (width_ <= 0 || schema.n_children != 1) not_served(format);
    type_ = number_type(schema.children[0]->format);
    if (type_ == TypeId::kBool) not_served(format);
  } else {
    parse_format(format);
  }
  check_shape(format);
}

void ImportedColumn::parse_format(std::string_view format) {
  if (format == "u") {
    offset_bytes_ = 4;
  } else if (format == "U") {
    offset_bytes_ = 8;
  } else if (format != "vu") {
    type_ = number_type(format);
  }
}

void ImportedColumn::check_shape(std::string_view format) const {
  const bool is_view = is_text() && offset_bytes_ == 0;
  const int64_t buffers = width_ > 0 ? 1 : is_text() ? 3 : 2;
  const bool sound = array_->length >= 0 && array_->offset >= 0 &&
                     (array_->n_buffers == buffers || (is_view && array_->n_buffers > buffers)) &&
                     array_->n_children == (width_ > 0 ? 1 : 0) && values().n_buffers >= 2 &&
                     (array_->length == 0 || values().buffers[1] != nullptr);
  if (!sound) {
    fail(ErrorKind::kInvalidArgument, "an Arrow array of format '", printable(format), "' has ",
         array_->length, " rows and ", array_->n_buffers, " buffers, which do not fit together");
  }
  if (width_ > 0 && values().length < (array_->offset + array_->length) * width_) {
    fail(ErrorKind::kInvalidArgument, "an Arrow array of ", array_->length, " lists of ", width_,
         " has only ", values().length, " values");
  }
}

int64_t ImportedColumn::null_count() const {
  return count_nulls(*array_) + (width_ > 0 ? count_nulls(values()) : 0);
}

bool ImportedColumn::is_valid(int64_t i) const {
  return array_->null_count == 0 || array_->buffers[0] == nullptr ||
         bit_at(array_->buffers[0], array_->offset + i);
}

const void* ImportedColumn::numbers() const {
  const int64_t first = width_ > 0 ? values().offset + array_->offset * width_ : array_->offset;
  const uint8_t* base = static_cast<const uint8_t*>(values().buffers[1]);
  return base == nullptr ? nullptr : base + first * type_info(type_).item_bytes;
}

bool ImportedColumn::bit(int64_t i) const {
  return bit_at(array_->buffers[1], array_->offset + i);
}

std::string_view ImportedColumn::text(int64_t i) const {
  if (offset_bytes_ == 0) return view(array_->offset + i);
  return offset_bytes_ == 4 ? slice<int32_t>(array_->offset + i) : slice<int64_t>(array_->offset + i);
}

template <typename Offset>
std::string_view ImportedColumn::slice(int64_t i) const {
  const Offset begin = load<Offset>(array_->buffers[1], i);
  const Offset end = load<Offset>(array_->buffers[1], i + 1);
  if (begin < 0 || end < begin) {
    fail(ErrorKind::kInvalidArgument, "an Arrow text array has descending offsets at row ", i);
  }
  return {static_cast<const char*>(array_->buffers[2]) + begin, static_cast<size_t>(end - begin)};
}

// A string view has 16 bytes: int32 size, then either up to 12 bytes of text, or 4 bytes of its beginning,
// the int32 number of a data buffer and an int32 offset there.
std::string_view ImportedColumn::view(int64_t i) const {
  constexpr int32_t kInline = 12;
  const char* row = static_cast<const char*>(array_->buffers[1]) + 16 * i;
  const int32_t size = load<int32_t>(row, 0);
  if (size >= 0 && size <= kInline) return {row + 4, static_cast<size_t>(size)};
  const int32_t buffer = load<int32_t>(row, 2);
  if (size < 0 || buffer < 0 || buffer >= array_->n_buffers - 3) {
    fail(ErrorKind::kInvalidArgument, "an Arrow text array has an unsound view at row ", i);
  }
  return {static_cast<const char*>(array_->buffers[2 + buffer]) + load<int32_t>(row, 3),
          static_cast<size_t>(size)};
}

}  // namespace arrowmind::arrow
