#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace arrowmind::bindings {

namespace nb = nanobind;

// One function per room; module.cc calls them all.
void bind_base(nb::module_& m);
void bind_qmatmul(nb::module_& m);

}  // namespace arrowmind::bindings
