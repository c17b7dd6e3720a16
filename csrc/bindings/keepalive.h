#pragma once

#include "bindings/bindings.h"
#include "runtime/op.h"

namespace arrowmind::bindings {

// Keeps a Python object alive from C++ that may drop it on a thread without the GIL.
inline runtime::Keepalive keepalive(const nb::object& object) {
  return {new nb::object(object), [](const void* held) {
            nb::gil_scoped_acquire gil;
            delete static_cast<const nb::object*>(held);
          }};
}

}  // namespace arrowmind::bindings
