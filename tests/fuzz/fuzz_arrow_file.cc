// Reads everything a file offers through every door of csrc/arrow. Anything but a sound value or
// arrowmind::Error is a finding; so is a pointer outside the file, which the sanitizers cannot see inside a
// mapped page.
//
// The first byte of an input chooses its form, so that mutations need not keep lengths at the end of the
// file:
//   even: the rest is the file
//   odd:  two bytes of footer size, then the footer, then the batches; the frame around them is added

#include <cstdint>
#include <cstring>
#include <string>

#include "arrow/c_data.h"
#include "arrow/c_import.h"
#include "arrow/file.h"
#include "arrow/hash_tree.h"
#include "as_file.h"
#include "base/checked.h"

namespace {

namespace arrow = arrowmind::arrow;
using arrowmind::Error;
using arrowmind::fuzz::require;
using arrowmind::fuzz::touch;

void read_variable(const arrow::Batch& batch, const arrow::Column& column) {
  const arrow::Offsets offsets(batch.mapping(), column);
  for (int64_t i = 0; i < column.length; ++i) {
    const int64_t begin = offsets.at(i);
    const int64_t size = offsets.at(i + 1) - begin;
    if (column.children.empty()) {
      touch(*batch.mapping(), {column.values.offset + begin, size});
    } else {
      require(arrowmind::range_fits(begin, size, column.children[0].length));
    }
  }
}

void read_column(const arrow::Batch& batch, const arrow::Column& column) {
  try {
    const arrow::Validity validity(batch.mapping(), column);
    int64_t nulls = 0;
    for (int64_t i = 0; i < column.length; ++i) nulls += validity.is_valid(i) ? 0 : 1;
    require(nulls == column.null_count);
  } catch (const Error&) {
  }
  try {
    switch (column.field->info().layout) {
      case arrow::Layout::kBits:
        touch(*batch.mapping(), {column.values.offset, (column.length + 7) / 8});
        break;
      case arrow::Layout::kFixed:
        touch(*batch.mapping(), {column.values.offset, column.length * column.field->value_bytes()});
        break;
      case arrow::Layout::kFixedList:
        require(column.children[0].length >= column.length * column.field->width);
        break;
      case arrow::Layout::kVariable:
      case arrow::Layout::kList:
        read_variable(batch, column);
        break;
    }
  } catch (const Error&) {
  }
  for (const arrow::Column& child : column.children) read_column(batch, child);
}

// Takes over a column of the export, which must be sound by now.
void import_column(const ArrowSchema& schema, ArrowArray* array) {
  try {
    const arrow::ImportedColumn column(schema, array);
    for (int64_t i = 0; column.is_text() && i < column.length(); ++i) {
      const std::string text(column.text(i));
      require(text.size() == column.text(i).size());
    }
  } catch (const Error&) {
  }
}

void exchange(const arrow::Batch& batch) {
  ArrowSchema schema;
  ArrowArray array;
  arrow::export_schema(batch.schema(), &schema);
  try {
    arrow::export_batch(batch, &array);
    for (int64_t i = 0; i < array.n_children; ++i) import_column(*schema.children[i], array.children[i]);
    array.release(&array);
  } catch (const Error&) {
  }
  schema.release(&schema);
}

void read_tree(const arrow::ArrowFile& file) {
  if (file.tree_offset() < 0) return;
  try {
    const auto tree = arrow::HashTree::open(file.mapping(), file.tree_offset(), file.footer_offset());
    for (int64_t i = 0; i < file.batch_count(); ++i)
      tree->verify(file.index_ranges(file.batch(i)), "index", true);
    tree->verify({{0, tree->data_bytes()}}, "all");
  } catch (const Error&) {
  }
}

void read_file(const std::string& path) {
  try {
    const auto file = arrow::ArrowFile::open(path);
    read_tree(*file);
    for (const arrow::Field& field : file->schema().fields) require(!field.type_name().empty());
    for (int64_t i = 0; i < file->batch_count(); ++i) {
      try {
        const arrow::Batch batch = file->batch(i);
        for (const arrow::Column& column : batch.columns) read_column(batch, column);
        exchange(batch);
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
}

std::string framed(const uint8_t* data, size_t size) {
  uint16_t wanted = 0;
  if (size < sizeof(wanted)) return {};
  std::memcpy(&wanted, data, sizeof(wanted));
  const std::string rest(reinterpret_cast<const char*>(data) + sizeof(wanted), size - sizeof(wanted));
  const std::string footer = rest.substr(0, wanted);
  const int32_t footer_size = static_cast<int32_t>(footer.size());
  std::string file("ARROW1\0\0", 8);
  file += rest.substr(footer.size());
  file.resize((file.size() + 7) / 8 * 8);
  file += footer;
  file.append(reinterpret_cast<const char*>(&footer_size), sizeof(footer_size));
  return file + "ARROW1";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string content = data[0] % 2 != 0
                                  ? framed(data + 1, size - 1)
                                  : std::string(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_file(arrowmind::fuzz::as_file(content.data(), content.size()));
  return 0;
}
