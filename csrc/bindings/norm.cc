#include "kernels/norm/norm.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> x, Vector<const float> gamma,
         const std::optional<Vector<const float>>& beta, float eps, Matrix<float> y, int64_t repeat) {
  const norm::Row& row = kernel_by_name(norm::rows(), name);
  norm::Params p;
  p.x = x.data();
  p.x_stride = p.y_stride = p.width = extent(x, 1);
  p.end = extent(x, 0);
  require("norm", p.width >= 1, "rows are empty");
  require("norm", extent(y, 0) == p.end && extent(y, 1) == p.width, "x and y differ in shape");
  require("norm", extent(gamma, 0) == p.width && (!beta || extent(*beta, 0) == p.width),
          "gamma and beta must be as long as a row");
  p.y = y.data();
  p.gamma = gamma.data();
  p.beta = beta ? beta->data() : nullptr;
  p.eps = eps;
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_norm(nb::module_& m) {
  m.def("norm_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("gamma"), nb::arg("beta").none(),
        nb::arg("eps"), nb::arg("y"), nb::arg("repeat") = 1,
        "Runs the named kernel row over all rows on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
