#include "arrow/batch.h"

#include <algorithm>

#include "base/checked.h"

namespace arrowmind::arrow {
namespace {

using flatbuffer::Buffer;
using flatbuffer::Table;
using flatbuffer::Vector;

constexpr int64_t kStructBytes = 16;  // of a FieldNode and of a Buffer: two int64 each

// Safe for any length the file may claim.
constexpr int64_t bitmap_bytes(int64_t length) {
  return length / 8 + (length % 8 != 0);
}

// Walks the schema depth first, taking nodes and buffers in the order Arrow stores them.
class ColumnReader {
 public:
  ColumnReader(const Table& batch, FileRange body)
      : metadata_(batch.buffer()),
        body_(body),
        nodes_(batch.vector(1, kStructBytes, 8)),
        buffers_(batch.vector(2, kStructBytes, 8)) {}

  Column read(const Field& field) {
    Column column;
    column.field = &field;
    read_node(&column);
    column.validity = next_buffer(column, 1);
    if (column.null_count > 0) require(column, "validity", column.validity, bitmap_bytes(column.length));
    read_values(&column);
    for (const Field& child : field.children) column.children.push_back(read(child));
    if (field.info().layout == Layout::kFixedList) check_fixed_list(column);
    return column;
  }

  void finish() const {
    if (node_ != nodes_.count || buffer_ != buffers_.count) {
      metadata_.damaged("the batch has more columns than the schema");
    }
  }

 private:
  void read_node(Column* column) {
    if (node_ >= nodes_.count) metadata_.damaged("the batch has fewer columns than the schema");
    const int64_t position = nodes_.position + kStructBytes * node_++;
    column->length = metadata_.read<int64_t>(position);
    column->null_count = metadata_.read<int64_t>(position + 8);
    if (column->length < 0 || column->null_count < 0 || column->null_count > column->length) {
      metadata_.damaged(cat("column '", column->field->name, "' has ", column->length, " rows and ",
                            column->null_count, " nulls"));
    }
  }

  FileRange next_buffer(const Column& column, int64_t alignment) {
    if (buffer_ >= buffers_.count) metadata_.damaged("the batch has fewer buffers than the schema needs");
    const int64_t position = buffers_.position + kStructBytes * buffer_++;
    const FileRange in_body = {metadata_.read<int64_t>(position), metadata_.read<int64_t>(position + 8)};
    if (!range_fits(in_body.offset, in_body.size, body_.size)) {
      metadata_.damaged(cat("column '", column.field->name, "' has a buffer of ", in_body.size, " bytes at ",
                            in_body.offset, ", outside the batch's ", body_.size, " bytes"));
    }
    const FileRange in_file = {body_.offset + in_body.offset, in_body.size};
    if (in_file.size > 0 && in_file.offset % alignment != 0) {
      metadata_.damaged(cat("column '", column.field->name, "' has a buffer at file offset ", in_file.offset,
                            ", not a multiple of ", alignment));
    }
    return in_file;
  }

  void read_values(Column* column) {
    const Field& field = *column->field;
    const TypeInfo& info = field.info();
    switch (info.layout) {
      case Layout::kBits:
        column->values = next_buffer(*column, 1);
        require(*column, "values", column->values, bitmap_bytes(column->length));
        break;
      case Layout::kFixed:
        column->values = next_buffer(*column, std::max(info.item_bytes, 1));
        require(*column, "values", column->values, times(*column, column->length, field.value_bytes()));
        break;
      case Layout::kVariable:
      case Layout::kList:
        column->offsets = next_buffer(*column, info.offset_bytes);
        if (column->length > 0) {
          require(*column, "offsets", column->offsets,
                  times(*column, column->length, info.offset_bytes) + info.offset_bytes);
        }
        if (info.layout == Layout::kVariable) column->values = next_buffer(*column, 1);
        break;
      case Layout::kFixedList:
        break;
    }
  }

  void check_fixed_list(const Column& column) const {
    const int64_t wanted = times(column, column.length, column.field->width);
    if (column.children[0].length < wanted) {
      metadata_.damaged(cat("column '", column.field->name, "' has ", column.children[0].length,
                            " values, its rows need ", wanted));
    }
  }

  // Limited well below 2^63, so that callers may add small numbers to the product.
  int64_t times(const Column& column, int64_t length, int64_t each) const {
    int64_t product = 0;
    if (!checked_mul(length, each, &product) || product > INT64_MAX / 2) {
      metadata_.damaged(cat("column '", column.field->name, "' has ", length, " rows of ", each));
    }
    return product;
  }

  void require(const Column& column, std::string_view part, FileRange range, int64_t size) const {
    if (range.size < size) {
      metadata_.damaged(cat("column '", column.field->name, "' has ", range.size, " bytes of ", part,
                            ", its ", column.length, " rows need ", size));
    }
  }

  const Buffer& metadata_;
  FileRange body_;
  Vector nodes_;
  Vector buffers_;
  int64_t node_ = 0;
  int64_t buffer_ = 0;
};

}  // namespace

std::vector<Column> parse_columns(const Table& batch, const Schema& schema, FileRange body) {
  if (batch.has(3)) {
    fail(ErrorKind::kWeight, batch.buffer().what,
         ": is compressed, which cannot be mapped; rewrite it "
         "without compression");
  }
  const int64_t length = parse_length(batch);
  ColumnReader reader(batch, body);
  std::vector<Column> columns;
  for (const Field& field : schema.fields) {
    columns.push_back(reader.read(field));
    if (columns.back().length != length) {
      batch.buffer().damaged(
          cat("column '", field.name, "' has ", columns.back().length, " rows in a batch of ", length));
    }
  }
  reader.finish();
  return columns;
}

int64_t parse_length(const Table& batch) {
  const int64_t length = batch.scalar<int64_t>(0, 0);
  if (length < 0) batch.buffer().damaged(cat("the batch has ", length, " rows"));
  return length;
}

}  // namespace arrowmind::arrow
