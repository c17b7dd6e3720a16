#pragma once

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/bindings.h"

namespace arrowmind::bindings {

// Values as an array of NumPy, which frees them; nothing is copied.
template <typename T>
nb::ndarray<nb::numpy, T> owned(std::unique_ptr<T[]> values, std::initializer_list<size_t> shape) {
  T* data = values.release();
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return {data, shape, owner};
}

template <typename T>
nb::ndarray<nb::numpy, T> owned(std::vector<T>&& values, std::initializer_list<size_t> shape) {
  auto* held = new std::vector<T>(std::move(values));
  const nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {held->data(), shape, owner};
}

template <typename T>
nb::ndarray<nb::numpy, T> owned(std::vector<T>&& values) {
  const size_t count = values.size();
  return owned(std::move(values), {count});
}

}  // namespace arrowmind::bindings
