#include "runtime/on_device/shared_rows.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "bindings/arrays.h"
#include "bindings/arrow_handles.h"
#include "bindings/owned.h"
#include "runtime/on_device/dlpack.h"

namespace arrowmind::bindings {
namespace {

using runtime::SharedRows;
using Shared = std::shared_ptr<SharedRows>;

// A consumer renames the capsule when it takes the tensor; one that was never taken gives it back.
template <typename Managed>
nb::object lend_in_capsule(Managed* managed, const char* name) {
  PyObject* capsule = PyCapsule_New(managed, name, [](PyObject* object) {
    const char* own = PyCapsule_GetName(object);
    if (own == nullptr || std::strncmp(own, "used_", 5) == 0) return;
    auto* held = static_cast<Managed*>(PyCapsule_GetPointer(object, own));
    held->deleter(held);
  });
  if (capsule == nullptr) {
    managed->deleter(managed);
    throw nb::python_error();
  }
  return nb::steal(capsule);
}

nb::object dlpack(const Shared& self, bool versioned, bool is_copied) {
  if (!versioned) return lend_in_capsule(runtime::lend(self), "dltensor");
  return lend_in_capsule(runtime::lend_versioned(self, is_copied), "dltensor_versioned");
}

nb::tuple dlpack_device(const SharedRows& self) {
  const SharedRows::Address at = self.address();
  return nb::make_tuple(at.device_type, at.device_id);
}

nb::object arrow_schema(const SharedRows& self) {
  auto schema = std::make_unique<ArrowSchema>();
  arrow::export_rows_schema(self.columns(), schema.get());
  return make_capsule(std::move(schema), "arrow_schema");
}

nb::object arrow_device_array(const Shared& self) {
  const SharedRows::Address at = self->address();
  auto exported = std::make_unique<ArrowDeviceArray>();
  arrow::export_rows(self, at.data, self->rows(), self->columns(), &exported->array);
  exported->device_type = at.device_type;
  exported->device_id = at.device_type == ARROW_DEVICE_CPU ? -1 : at.device_id;
  return make_capsule(std::move(exported), "arrow_device_array");
}

nb::ndarray<nb::numpy, float> to_numpy(const SharedRows& self) {
  auto values = std::make_unique<float[]>(static_cast<size_t>(self.rows() * self.columns()));
  {
    nb::gil_scoped_release release;
    self.copy_out(values.get());
  }
  return owned(std::move(values), {static_cast<size_t>(self.rows()), static_cast<size_t>(self.columns())});
}

Shared of_host(const Matrix<const float>& values) {
  Shared made = SharedRows::here(extent(values, 0), extent(values, 1));
  std::memcpy(made->host(), values.data(), static_cast<size_t>(made->bytes()));
  return made;
}

}  // namespace

void bind_shared_rows(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<SharedRows>(m, "SharedRows", "Rows of float32 where they were computed, for others to use.")
      .def_static("of_host", &of_host, nb::arg("values"), "A copy in memory of the host.")
      .def_prop_ro("rows", &SharedRows::rows)
      .def_prop_ro("columns", &SharedRows::columns)
      .def_prop_ro("device", &SharedRows::device_name)
      .def("copy", &SharedRows::copy, Release(), "In the same place.")
      .def("copy_here", &SharedRows::copy_here, Release(), "In memory of the host.")
      .def("numpy", &to_numpy, "float32 [rows, columns], a copy.")
      .def("dlpack", &dlpack, nb::arg("versioned"), nb::arg("is_copied") = false)
      .def("dlpack_device", &dlpack_device, "(type, number) as DLPack has them.")
      .def("arrow_schema", &arrow_schema)
      .def("arrow_device_array", &arrow_device_array);
}

}  // namespace arrowmind::bindings
