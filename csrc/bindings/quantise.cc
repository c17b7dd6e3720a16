#include "kernels/quantise/quantise.h"

#include "base/checked.h"

#include "bindings/arrays.h"
#include "kernels/grid/grid.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> x,
         nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu> codes, Vector<float> scale,
         std::optional<Vector<int32_t>> sum, std::optional<Vector<int32_t>> zero,
         std::optional<Vector<const float>> multiplier, int32_t limit, int64_t repeat) {
  const quantise::Row& row = kernel_by_name(quantise::rows(), name);
  require("quantise", row.code != quantise::Code::kI8Block, "this row quantises in blocks");
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

void run_blocks(const std::string& name, Matrix<const float> x, Matrix<int8_t> codes, Matrix<float> scale,
                Matrix<int32_t> sum, int64_t group, std::optional<Vector<const float>> multiplier) {
  const quantise::Row& row = kernel_by_name(quantise::rows(), name);
  quantise::Params p;
  p.x = x.data();
  p.x_stride = p.width = extent(x, 1);
  p.end = extent(x, 0);
  const int64_t block = grid::block_of(group), part = grid::part_of(group);
  const int64_t blocks = ceil_div(p.width, block);
  const auto check = [](bool condition, const char* what) { require("quantise", condition, what); };
  const auto shaped = [&](const auto& matrix, int64_t columns) {
    return extent(matrix, 0) == p.end && extent(matrix, 1) == columns;
  };
  check(row.code == quantise::Code::kI8Block, "this row does not quantise in blocks");
  check(shaped(codes, blocks * block) && shaped(scale, blocks), "codes or scales have another shape");
  check(shaped(sum, blocks * block / part), "sums have another shape");
  check(!multiplier || extent(*multiplier, 0) == p.width, "multiplier has another length than a row");
  p.multiplier = multiplier ? multiplier->data() : nullptr;
  p.out = {.codes = codes.data(),
           .stride = extent(codes, 1),
           .scale = scale.data(),
           .sum = sum.data(),
           .block = block,
           .part = part};
  nb::gil_scoped_release release;
  row.run(p);
}

}  // namespace

void bind_quantise(nb::module_& m) {
  m.def("quantise_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("codes"), nb::arg("scale"),
        nb::arg("sum") = nb::none(), nb::arg("zero") = nb::none(), nb::arg("multiplier") = nb::none(),
        nb::arg("limit") = 32767, nb::arg("repeat") = 1,
        "Runs the named kernel row over all rows on this thread; for tests and benchmarks.");
  m.def("quantise_run_blocks", &run_blocks, nb::arg("name"), nb::arg("x"), nb::arg("codes"), nb::arg("scale"),
        nb::arg("sum"), nb::arg("group"), nb::arg("multiplier") = nb::none(),
        "Runs the named row that quantises in blocks over all rows on this thread; for tests.");
}

}  // namespace arrowmind::bindings
