#include "kernels/quantise/quantise.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> x,
         nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu> codes, Vector<float> scale,
         std::optional<Vector<int32_t>> sum, std::optional<Vector<int32_t>> zero,
         std::optional<Vector<const float>> multiplier, int32_t limit, int64_t repeat) {
  const quantise::Row& row = kernel_by_name(quantise::rows(), name);
  const bool bytes = row.code == quantise::Code::kI8;
  quantise::Params p;
  p.x = x.data();
  p.x_stride = p.width = extent(x, 1);
  p.end = extent(x, 0);
  const auto check = [](bool condition, const char* what) { require("quantise", condition, what); };
  check(codes.itemsize() == (bytes ? 1 : 2), "codes have another item size");
  check(extent(codes, 0) == p.end, "codes and rows differ in number");
  check(extent(codes, 1) >= (p.width + 3) / 4 * 4, "code rows must be padded to a multiple of 4");
  check(extent(scale, 0) == p.end, "scale has another length");
  check(!sum || extent(*sum, 0) == p.end, "sum has another length");
  check(zero ? extent(*zero, 0) == p.end : !bytes, "int8 codes need zero, one per row");
  check(!multiplier || extent(*multiplier, 0) == p.width, "multiplier has another length than a row");
  check(limit >= 1 && limit <= 32767, "limit does not fit the codes");
  check((bytes ? 255 : limit) * p.width < (int64_t{1} << 31), "rows are too wide for exact sums");
  p.multiplier = multiplier ? multiplier->data() : nullptr;
  p.out = {.codes = codes.data(),
           .stride = extent(codes, 1),
           .scale = scale.data(),
           .sum = sum ? sum->data() : nullptr,
           .zero = zero ? zero->data() : nullptr,
           .limit = limit};
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_quantise(nb::module_& m) {
  m.def("quantise_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("codes"), nb::arg("scale"),
        nb::arg("sum") = nb::none(), nb::arg("zero") = nb::none(), nb::arg("multiplier") = nb::none(),
        nb::arg("limit") = 32767, nb::arg("repeat") = 1,
        "Runs the named kernel row over all rows on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
