#include "kernels/pool/pool.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> x, Vector<const int32_t> offsets,
         const std::string& mode, bool normalise, Matrix<float> out, int64_t repeat) {
  const pool::Row& row = kernel_by_name(pool::rows(), name);
  require("pool", mode == "mean" || mode == "first" || mode == "last",
          "mode must be 'mean', 'first' or 'last'");
  require_offsets("pool", offsets, extent(x, 0));
  pool::Params p;
  p.x = x.data();
  p.x_stride = p.width = p.out_stride = extent(x, 1);
  p.offsets = offsets.data();
  p.mode = mode == "mean" ? pool::Mode::kMean : mode == "first" ? pool::Mode::kFirst : pool::Mode::kLast;
  p.normalise = normalise;
  p.out = out.data();
  p.end = extent(offsets, 0) - 1;
  require("pool", extent(out, 0) == p.end && extent(out, 1) == p.width, "out has another shape");
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_pool(nb::module_& m) {
  m.def("pool_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("offsets"), nb::arg("mode"),
        nb::arg("normalise"), nb::arg("out"), nb::arg("repeat") = 1,
        "Runs the named kernel row over all sequences on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
