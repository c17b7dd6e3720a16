#include "kernels/rope/rope.h"

#include "bindings/arrays.h"
#include "kernels/rope/turns.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, const Matrix<float>& x, int64_t heads, const Matrix<const float>& turns,
         bool interleaved) {
  const rope::Row& row = kernel_by_name(rope::rows(), name);
  require("rope", heads >= 1 && extent(x, 1) % heads == 0, "rows are no whole number of heads wide");
  require("rope", extent(turns, 0) == extent(x, 0), "x and turns differ in rows");
  rope::Params p;
  p.x = x.data();
  p.x_stride = extent(x, 1);
  p.heads = heads;
  p.head_dim = extent(x, 1) / heads;
  p.rotated = p.turns_stride = extent(turns, 1);
  require("rope", p.rotated % 2 == 0 && p.rotated <= p.head_dim, "an even part of a head is turned");
  p.interleaved = interleaved;
  p.turns = turns.data();
  p.end = extent(x, 0);
  nb::gil_scoped_release release;
  row.run(p);
}

void turns(int32_t first, const Vector<const float>& frequencies, float factor, const Matrix<float>& out) {
  const int64_t count = extent(frequencies, 0);
  require("rope", extent(out, 1) == 2 * count, "turns need two columns per frequency");
  for (int64_t row = 0; row < extent(out, 0); ++row) {
    float* place = out.data() + row * 2 * count;
    rope::fill_turns(first + static_cast<int32_t>(row), frequencies.data(), count, factor, place,
                     place + count);
  }
}

}  // namespace

void bind_rope(nb::module_& m) {
  m.def("rope_run", &run, nb::arg("name"), nb::arg("x"), nb::arg("heads"), nb::arg("turns"),
        nb::arg("interleaved") = false, "Runs the named kernel row over all rows on this thread; for tests.");
  m.def("rope_turns", &turns, nb::arg("first"), nb::arg("frequencies"), nb::arg("factor"), nb::arg("out"),
        "Cosines and sines of consecutive positions from `first` on; for tests.");
}

}  // namespace arrowmind::bindings
