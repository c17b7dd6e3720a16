#include "bindings/quantise.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> x,
         nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu> codes, Vector<float> scale,
         std::optional<Vector<int32_t>> sum, int32_t limit, int64_t repeat) {
  const quantise::Row& row = kernel_by_name(quantise::rows(), name);
  quantise::Params p;
  p.x = x.data();
  p.x_stride = p.width = extent(x, 1);
  p.end = extent(x, 0);
  p.out = quantise_output("quantise", p.end, p.width, row.code == quantise::Code::kI8 ? 1 : 2, codes, scale,
                          sum, limit);
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_quantise(nb::module_& m) {
  m.def("quantise_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("codes"), nb::arg("scale"),
        nb::arg("sum") = nb::none(), nb::arg("limit") = quantise::kLimitI8, nb::arg("repeat") = 1,
        "Runs the named kernel row over all rows on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
