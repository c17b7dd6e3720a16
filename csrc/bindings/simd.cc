#include "kernels/simd/simd.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Vector<const float> x, Vector<float> y, int64_t repeat) {
  const simd::Row& row = kernel_by_name(simd::rows(), name);
  require("simd", x.size() == y.size(), "x and y differ in length");
  const simd::Params p = {x.data(), y.data(), extent(x, 0)};
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_simd(nb::module_& m) {
  m.def("simd_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("y"), nb::arg("repeat") = 1,
        "Runs the named kernel row over an array on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
