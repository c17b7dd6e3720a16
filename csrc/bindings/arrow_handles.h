#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/c_data.h"
#include "arrow/file.h"
#include "bindings/bindings.h"

// What arrow.cc and arrow_c_data.cc share.
namespace arrowmind::bindings {

using NumpyArray = nb::ndarray<nb::numpy, nb::ro>;

struct FileHandle {
  std::shared_ptr<const arrow::ArrowFile> file;
};

struct BatchHandle {
  std::shared_ptr<const arrow::Batch> batch;
};

nb::dlpack::dtype dtype_of(arrow::TypeId type);

// A new reference to a str, or null when the text is not UTF-8.
PyObject* decode_utf8(std::string_view text);

// An array that owns its values.
template <typename T>
NumpyArray own(std::vector<T> values, nb::dlpack::dtype dtype) {
  auto* held = new std::vector<T>(std::move(values));
  const nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return NumpyArray(held->data(), {held->size()}, owner, {}, dtype);
}

template <typename Struct>
void let_go(Struct* exported) {
  if (exported->release != nullptr) exported->release(exported);
}
template <>
inline void let_go(ArrowDeviceArray* exported) {
  let_go(&exported->array);
}

// A capsule of the Arrow C interfaces, which releases what nobody took out of it.
template <typename Struct>
nb::object make_capsule(std::unique_ptr<Struct> exported, const char* name) {
  PyObject* capsule = PyCapsule_New(exported.get(), name, [](PyObject* object) {
    Struct* held = static_cast<Struct*>(PyCapsule_GetPointer(object, PyCapsule_GetName(object)));
    let_go(held);
    delete held;
  });
  if (capsule == nullptr) {
    let_go(exported.get());
    throw nb::python_error();
  }
  exported.release();
  return nb::steal(capsule);
}

nb::object batch_c_schema(const BatchHandle& self);
nb::tuple batch_c_array(const BatchHandle& self, const nb::object& requested_schema);
void bind_arrow_import(nb::module_& m);
void bind_hash_tree(nb::module_& m);

}  // namespace arrowmind::bindings
