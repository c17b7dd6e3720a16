#include <memory>

#include "arrow/c_data.h"
#include "arrow/c_import.h"
#include "bindings/arrow_handles.h"

namespace arrowmind::bindings {
namespace {

using arrow::ImportedColumn;
using arrow::TypeId;

template <typename Struct>
Struct* open_capsule(const nb::object& capsule, const char* name) {
  if (PyCapsule_IsValid(capsule.ptr(), name) == 0) {
    fail(ErrorKind::kInvalidArgument, "an '", name, "' capsule of the Arrow C Data interface is needed");
  }
  Struct* held = static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (held->release == nullptr) {
    fail(ErrorKind::kInvalidArgument, "the '", name, "' capsule was used already; export it again");
  }
  return held;
}

nb::object strings(const ImportedColumn& column) {
  nb::list list;
  for (int64_t i = 0; i < column.length(); ++i) {
    if (!column.is_valid(i)) {
      list.append(nb::none());
      continue;
    }
    PyObject* string = decode_utf8(column.text(i));
    if (string == nullptr) fail(ErrorKind::kInvalidArgument, "row ", i, " of an Arrow array is not UTF-8");
    list.append(nb::steal(string));
  }
  return list;
}

nb::object bools(const ImportedColumn& column) {
  std::vector<uint8_t> values(static_cast<size_t>(column.length()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = column.bit(static_cast<int64_t>(i)) ? 1 : 0;
  return nb::cast(own(std::move(values), nb::dtype<bool>()));
}

nb::object numbers(const ImportedColumn& column) {
  if (const int64_t nulls = column.null_count(); nulls > 0) {
    fail(ErrorKind::kInvalidArgument, "an Arrow array of numbers has ", nulls,
         " missing values; fill or drop them first");
  }
  if (column.type() == TypeId::kBool) return bools(column);
  using Array = std::shared_ptr<const ArrowArray>;
  const nb::capsule owner(new Array(column.array()), [](void* p) noexcept { delete static_cast<Array*>(p); });
  static constexpr uint64_t kNothing = 0;
  const size_t shape[] = {static_cast<size_t>(column.length()), static_cast<size_t>(column.width())};
  const void* data = column.length() == 0 ? &kNothing : column.numbers();
  const size_t dimensions = column.width() > 0 ? 2 : 1;
  return nb::cast(NumpyArray(data, dimensions, shape, owner, nullptr, dtype_of(column.type())));
}

nb::object to_python(const ArrowSchema& schema, ArrowArray* array) {
  const ImportedColumn column(schema, array);
  return column.is_text() ? strings(column) : numbers(column);
}

nb::object import_array(const nb::object& schema, const nb::object& array) {
  const ArrowSchema* type = open_capsule<ArrowSchema>(schema, "arrow_schema");
  return to_python(*type, open_capsule<ArrowArray>(array, "arrow_array"));
}

template <typename Struct>
struct Released {
  Struct value{};
  ~Released() {
    if (value.release != nullptr) value.release(&value);
  }
};

void check_stream(ArrowArrayStream* stream, int status) {
  if (status == 0) return;
  const char* reason = stream->get_last_error(stream);
  fail(ErrorKind::kInvalidArgument,
       "an Arrow stream failed: ", reason != nullptr ? reason : "no reason given");
}

nb::list import_stream(const nb::object& capsule) {
  ArrowArrayStream* stream = open_capsule<ArrowArrayStream>(capsule, "arrow_array_stream");
  Released<ArrowSchema> schema;
  check_stream(stream, stream->get_schema(stream, &schema.value));
  nb::list chunks;
  for (;;) {
    Released<ArrowArray> array;
    check_stream(stream, stream->get_next(stream, &array.value));
    if (array.value.release == nullptr) return chunks;
    chunks.append(to_python(schema.value, &array.value));
  }
}

}  // namespace

nb::object batch_c_schema(const BatchHandle& self) {
  auto schema = std::make_unique<ArrowSchema>();
  arrow::export_schema(self.batch->schema(), schema.get());
  return make_capsule(std::move(schema), "arrow_schema");
}

nb::tuple batch_c_array(const BatchHandle& self, const nb::object& /*requested_schema*/) {
  auto array = std::make_unique<ArrowArray>();
  {
    nb::gil_scoped_release release;
    arrow::export_batch(*self.batch, array.get());
  }
  return nb::make_tuple(batch_c_schema(self), make_capsule(std::move(array), "arrow_array"));
}

void bind_arrow_import(nb::module_& m) {
  m.def("import_arrow_array", &import_array, nb::arg("schema"), nb::arg("array"),
        "Capsules of one column -> a view of its numbers, or a list of its strings.");
  m.def("import_arrow_stream", &import_stream, nb::arg("stream"),
        "The same for every chunk of an arrow_array_stream capsule.");
}

}  // namespace arrowmind::bindings
