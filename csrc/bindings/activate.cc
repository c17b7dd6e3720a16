#include "kernels/activate/activate.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, int kind, const Matrix<const float>& x,
         const std::optional<Matrix<const float>>& up, float cap, const Matrix<float>& out) {
  const activate::Row& row = kernel_by_name(activate::rows(), name);
  require("activate", kind >= 0 && kind <= static_cast<int>(activate::Kind::kQuickGelu), "unknown kind");
  require("activate", extent(out, 0) == extent(x, 0) && extent(out, 1) == extent(x, 1),
          "x and out differ in shape");
  require("activate", !up || (extent(*up, 0) == extent(x, 0) && extent(*up, 1) == extent(x, 1)),
          "x and up differ in shape");
  activate::Params p;
  p.kind = static_cast<activate::Kind>(kind);
  p.cap = cap;
  p.x = x.data();
  p.up = up ? up->data() : nullptr;
  p.stride = p.out_stride = p.width = extent(x, 1);
  p.out = out.data();
  p.end = extent(x, 0);
  nb::gil_scoped_release release;
  row.run(p);
}

}  // namespace

void bind_activate(nb::module_& m) {
  m.def("activate_run", &run, nb::arg("name"), nb::arg("kind"), nb::arg("x"), nb::arg("up").none(),
        nb::arg("cap"), nb::arg("out"), "Runs the named kernel row over all rows on this thread; for tests.");
}

}  // namespace arrowmind::bindings
