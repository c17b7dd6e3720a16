#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>

#include "base/crc32c.h"
#include "bindings/arrow_handles.h"

namespace arrowmind::bindings {
namespace {

using arrow::ArrowFile;
using arrow::Batch;
using arrow::Column;
using arrow::Layout;
using arrow::TypeId;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

struct ColumnHandle {
  std::shared_ptr<const Batch> batch;
  const Column* column;
};

// The values of a variable or fixed width column as byte ranges of the mapping.
struct BinaryHandle {
  std::shared_ptr<const Batch> batch;
  const Column* column;
  arrow::Validity validity;
  arrow::Offsets offsets;

  bool is_variable() const { return column->field->info().layout == Layout::kVariable; }
  arrow::FileRange range(int64_t i) const {
    const int64_t width = column->field->value_bytes();
    const int64_t begin = is_variable() ? offsets.at(i) : i * width;
    const int64_t end = is_variable() ? offsets.at(i + 1) : begin + width;
    return {column->values.offset + begin, end - begin};
  }
};

const std::string& path_of(const Batch& batch) {
  return batch.mapping()->path();
}

[[noreturn]] void wrong_type(const ColumnHandle& self, const char* wanted) {
  fail(ErrorKind::kWeight, path_of(*self.batch), ": column '", self.column->field->name, "' is ",
       self.column->field->type_name(), ", not ", wanted);
}

// --- numbers

NumpyArray unpack_bits(const arrow::Bytes& bits, int64_t length) {
  std::vector<uint8_t> values(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) {
    values[static_cast<size_t>(i)] = (bits.data()[i >> 3] >> (i & 7)) & 1;
  }
  return own(std::move(values), nb::dtype<bool>());
}

// A view of the mapping that keeps `self`, and so the mapping, alive.
template <typename Handle>
NumpyArray view(const Handle& self, arrow::FileRange values, std::initializer_list<size_t> shape,
                nb::dlpack::dtype dtype) {
  static constexpr uint64_t kNothing = 0;
  const void* data = &kNothing;
  if (values.size > 0) data = self.batch->mapping()->data() + values.offset;
  return NumpyArray(data, shape, nb::find(self), {}, dtype);
}

NumpyArray bools(const ColumnHandle& self) {
  const int64_t length = self.column->length;
  const arrow::FileRange bits = {self.column->values.offset, length / 8 + (length % 8 != 0)};
  return unpack_bits(arrow::Bytes(self.batch->mapping(), bits), length);
}

NumpyArray fixed_lists(const ColumnHandle& self) {
  const Column& child = self.column->children[0];
  const bool is_number = child.field->info().layout == Layout::kFixed && child.field->width == 0;
  if (!is_number || child.null_count > 0)
    wrong_type(self, "fixed-size lists of numbers without nulls inside");
  const size_t rows = static_cast<size_t>(self.column->length);
  const size_t width = static_cast<size_t>(self.column->field->width);
  return view(self, child.values, {rows, width}, dtype_of(child.field->type));
}

NumpyArray column_numbers(const ColumnHandle& self) {
  const Column& column = *self.column;
  const size_t rows = static_cast<size_t>(column.length);
  switch (column.field->info().layout) {
    case Layout::kBits:
      return bools(self);
    case Layout::kFixedList:
      return fixed_lists(self);
    case Layout::kFixed:
      if (column.field->type != TypeId::kFixedSizeBinary) {
        return view(self, column.values, {rows}, dtype_of(column.field->type));
      }
      return view(self, column.values, {rows, static_cast<size_t>(column.field->width)},
                  nb::dtype<uint8_t>());
    default:
      wrong_type(self, "a column of numbers");
  }
}

// Scalars for a Python list: read beside the mapping while they are few, so that no page becomes resident.
nb::object column_values(const ColumnHandle& self) {
  const Column& column = *self.column;
  const TypeId type = column.field->type;
  const int64_t size = column.length * column.field->value_bytes();
  const bool is_scalar = column.field->info().layout == Layout::kFixed && type != TypeId::kFixedSizeBinary;
  if (!is_scalar || size > arrow::Bytes::kPrivateLimit)
    return nb::cast(column_numbers(self)).attr("tolist")();
  const std::vector<uint8_t> bytes = self.batch->mapping()->read(column.values.offset, size);
  const NumpyArray array(bytes.data(), {static_cast<size_t>(column.length)}, nb::handle(), {},
                         dtype_of(type));
  return nb::cast(array, nb::rv_policy::copy).attr("tolist")();
}

NumpyArray column_validity(const ColumnHandle& self) {
  const arrow::Validity validity(self.batch->mapping(), *self.column);
  return unpack_bits(validity.bits(), validity.all() ? 0 : self.column->length);
}

NumpyArray column_offsets(const ColumnHandle& self) {
  if (self.column->field->info().offset_bytes == 0) wrong_type(self, "a column with offsets");
  const arrow::Offsets offsets(self.batch->mapping(), *self.column);
  std::vector<int64_t> values(static_cast<size_t>(self.column->length) + 1);
  if (self.column->length > 0) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = offsets.at(static_cast<int64_t>(i));
  }
  return own(std::move(values), nb::dtype<int64_t>());
}

// --- text and binary

BinaryHandle column_binary(const ColumnHandle& self) {
  const Column& column = *self.column;
  const bool is_variable = column.field->info().layout == Layout::kVariable;
  if (!is_variable && column.field->type != TypeId::kFixedSizeBinary) wrong_type(self, "binary or text");
  const auto& mapping = self.batch->mapping();
  BinaryHandle binary{self.batch, self.column, arrow::Validity(mapping, column), {}};
  if (is_variable) binary.offsets = arrow::Offsets(mapping, column);
  return binary;
}

nb::object decode(const ColumnHandle& self, std::string_view text, int64_t row) {
  PyObject* string = decode_utf8(text);
  if (string != nullptr) return nb::steal(string);
  fail(ErrorKind::kIntegrity, path_of(*self.batch), ": column '", self.column->field->name, "' row ", row,
       " is not UTF-8; the file is damaged, restore or rewrite it");
}

nb::list column_strings(const ColumnHandle& self) {
  const Column& column = *self.column;
  const TypeId type = column.field->type;
  if (type != TypeId::kUtf8 && type != TypeId::kLargeUtf8) wrong_type(self, "text");
  const BinaryHandle binary = column_binary(self);
  const arrow::Bytes text(self.batch->mapping(), column.values);
  nb::list strings;
  for (int64_t i = 0; i < column.length; ++i) {
    if (!binary.validity.is_valid(i)) {
      strings.append(nb::none());
      continue;
    }
    const int64_t begin = binary.offsets.at(i);
    const size_t size = static_cast<size_t>(binary.offsets.at(i + 1) - begin);
    strings.append(decode(self, {reinterpret_cast<const char*>(text.data()) + begin, size}, i));
  }
  return strings;
}

int64_t binary_index(const BinaryHandle& self, int64_t i) {
  const int64_t length = self.column->length;
  const int64_t index = i < 0 ? i + length : i;
  if (index < 0 || index >= length) {
    throw nb::index_error(cat("row ", i, " of a column of ", length, " rows").c_str());
  }
  return index;
}

NumpyArray binary_item(const BinaryHandle& self, int64_t i) {
  const arrow::FileRange range = self.range(binary_index(self, i));
  return view(self, range, {static_cast<size_t>(range.size)}, nb::dtype<uint8_t>());
}

// What is not UTF-8 is read as U+FFFD: for what may be damaged and is only searched.
nb::list binary_decoded(const BinaryHandle& self, const std::vector<int64_t>& rows) {
  const auto* data = reinterpret_cast<const char*>(self.batch->mapping()->data());
  nb::list strings;
  for (const int64_t row : rows) {
    const arrow::FileRange range = self.range(binary_index(self, row));
    PyObject* text = PyUnicode_DecodeUTF8(range.size > 0 ? data + range.offset : "", range.size, "replace");
    if (text == nullptr) throw nb::python_error();
    strings.append(nb::steal(text));
  }
  return strings;
}

NumpyArray binary_values(const BinaryHandle& self) {
  const int64_t length = self.column->length;
  arrow::FileRange all;
  if (length > 0) {
    const arrow::FileRange first = self.range(0), last = self.range(length - 1);
    all = {first.offset, last.offset + last.size - first.offset};
  }
  return view(self, all, {static_cast<size_t>(all.size)}, nb::dtype<uint8_t>());
}

// --- file

nb::dict to_dict(const arrow::KeyValues& pairs) {
  nb::dict dict;
  for (const auto& [key, value] : pairs) dict[key.c_str()] = value;
  return dict;
}

nb::list file_fields(const FileHandle& self) {
  nb::list fields;
  for (const arrow::Field& field : self.file->schema().fields) {
    fields.append(nb::make_tuple(field.name, field.type_name(), field.nullable, to_dict(field.metadata)));
  }
  return fields;
}

FileHandle open_file(const nb::bytes& path) {
  return {ArrowFile::open(std::string(path.c_str(), path.size()))};
}

BatchHandle file_batch(const FileHandle& self, int64_t index) {
  return {std::make_shared<const Batch>(self.file->batch(index))};
}

ColumnHandle batch_column(const BatchHandle& self, const std::string& name) {
  return {self.batch, &self.batch->column(name)};
}

ColumnHandle column_child(const ColumnHandle& self) {
  if (self.column->children.empty()) wrong_type(self, "a list");
  return {self.batch, &self.column->children[0]};
}

uint32_t checksum(const AnyArray& data, uint32_t crc) {
  nb::gil_scoped_release release;
  return crc32c(data.data(), static_cast<int64_t>(data.nbytes()), crc);
}

void bind_columns(nb::module_& m) {
  nb::class_<ColumnHandle>(m, "ArrowColumn", "One column of a batch, or the values of a list column.")
      .def_prop_ro("type", [](const ColumnHandle& self) { return self.column->field->type_name(); })
      .def_prop_ro("null_count", [](const ColumnHandle& self) { return self.column->null_count; })
      .def("__len__", [](const ColumnHandle& self) { return self.column->length; })
      .def("numbers", &column_numbers, "Read-only view of the mapping; a copy for bool.")
      .def("tolist", &column_values)
      .def("validity", &column_validity, "bool per row; empty when every value is present.")
      .def("offsets", &column_offsets, "int64 [rows + 1], a checked copy.")
      .def("strings", &column_strings)
      .def("binary", &column_binary)
      .def("child", &column_child, "The values of a list column.");
  nb::class_<BinaryHandle>(m, "BinaryColumn", "Binary values of a mapped file, without copies.")
      .def("__len__", [](const BinaryHandle& self) { return self.column->length; })
      .def("__getitem__", &binary_item, nb::arg("i"), "Read-only uint8 view of value `i`; empty for a null.")
      .def("decoded", &binary_decoded, nb::arg("rows"),
           "Values of some rows as texts; what is not UTF-8 is read as U+FFFD.")
      .def(
          "offset",
          [](const BinaryHandle& self, int64_t i) { return self.range(binary_index(self, i)).offset; },
          nb::arg("i"), "File offset of value `i` in bytes.")
      .def("values", &binary_values, "Read-only uint8 view of all values, one behind the other.")
      .def(
          "is_null",
          [](const BinaryHandle& self, int64_t i) { return !self.validity.is_valid(binary_index(self, i)); },
          nb::arg("i"), "Whether value `i` is missing.");
}

}  // namespace

nb::dlpack::dtype dtype_of(TypeId type) {
  switch (type) {
    case TypeId::kInt8:
      return nb::dtype<int8_t>();
    case TypeId::kInt16:
      return nb::dtype<int16_t>();
    case TypeId::kInt32:
      return nb::dtype<int32_t>();
    case TypeId::kInt64:
    case TypeId::kTimestamp:
      return nb::dtype<int64_t>();
    case TypeId::kUInt16:
      return nb::dtype<uint16_t>();
    case TypeId::kUInt32:
      return nb::dtype<uint32_t>();
    case TypeId::kUInt64:
      return nb::dtype<uint64_t>();
    case TypeId::kFloat16:
      return {static_cast<uint8_t>(nb::dlpack::dtype_code::Float), 16, 1};
    case TypeId::kFloat32:
      return nb::dtype<float>();
    case TypeId::kFloat64:
      return nb::dtype<double>();
    default:
      return nb::dtype<uint8_t>();
  }
}

PyObject* decode_utf8(std::string_view text) {
  PyObject* string = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
  if (string != nullptr) return string;
  if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError) == 0) throw nb::python_error();
  PyErr_Clear();
  return nullptr;
}

void bind_arrow(nb::module_& m) {
  bind_columns(m);
  bind_arrow_import(m);
  bind_hash_tree(m);
  nb::class_<BatchHandle>(m, "ArrowBatch", "One record batch of a mapped file.")
      .def_prop_ro("num_rows", [](const BatchHandle& self) { return self.batch->length; })
      .def("column", &batch_column, nb::arg("name"))
      .def("__arrow_c_schema__", &batch_c_schema)
      .def("__arrow_c_array__", &batch_c_array, nb::arg("requested_schema") = nb::none());
  nb::class_<FileHandle>(m, "ArrowFile", "A mapped, validated Arrow IPC file.")
      .def_static("open", &open_file, nb::arg("path"))
      .def_prop_ro("metadata", [](const FileHandle& self) { return to_dict(self.file->schema().metadata); })
      .def_prop_ro("fields", &file_fields, "(name, type, nullable, metadata) per column.")
      .def_prop_ro("num_batches", [](const FileHandle& self) { return self.file->batch_count(); })
      .def_prop_ro("size", [](const FileHandle& self) { return self.file->mapping()->size(); })
      .def(
          "forget_pages",
          [](const FileHandle& self, int64_t offset, int64_t size) {
            self.file->mapping()->forget_pages(offset, size);
          },
          nb::arg("offset"), nb::arg("size"))
      .def("batch", &file_batch, nb::arg("i"));
  m.def("crc32c", &checksum, nb::arg("data"), nb::arg("crc") = 0,
        "CRC-32C of the bytes of a contiguous buffer, continuing from `crc`.");
}

}  // namespace arrowmind::bindings
