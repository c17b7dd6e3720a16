#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "arrow/c_data.h"
#include "arrow/schema.h"

extern "C" {

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};

#endif
}

namespace arrowmind::arrow {

// A column of numbers or text that another library of this process lends by the Arrow C Data interface. The
// producer is trusted to describe its own memory; what is checked is that the description is one we
// understand.
class ImportedColumn {
 public:
  // Takes the array over (its release becomes null); the schema stays with the caller.
  // Throws Error(kInvalidArgument) for other types than numbers, fixed-size lists of numbers, and text.
  ImportedColumn(const ArrowSchema& schema, ArrowArray* array);

  int64_t length() const { return array_->length; }
  // Numbers per row: 0 for one scalar, else the width of a fixed-size list.
  int32_t width() const { return width_; }
  // Of the numbers, or kUtf8 for any kind of text.
  TypeId type() const { return type_; }
  bool is_text() const { return type_ == TypeId::kUtf8; }
  int64_t null_count() const;
  bool is_valid(int64_t i) const;
  // First of length() * max(width(), 1) numbers; kBool: see bit().
  const void* numbers() const;
  bool bit(int64_t i) const;
  std::string_view text(int64_t i) const;
  // Keeps the producer's memory alive.
  std::shared_ptr<const ArrowArray> array() const { return array_; }

 private:
  void parse_format(std::string_view format);
  void check_shape(std::string_view format) const;
  const ArrowArray& values() const { return width_ > 0 ? *array_->children[0] : *array_; }
  template <typename Offset>
  std::string_view slice(int64_t i) const;
  std::string_view view(int64_t i) const;

  std::shared_ptr<ArrowArray> array_;
  TypeId type_ = TypeId::kUtf8;
  int32_t width_ = 0;
  int offset_bytes_ = 0;  // text: 4 or 8; 0 for string views
};

}  // namespace arrowmind::arrow
