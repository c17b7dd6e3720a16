#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/aligned_buffer.h"
#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, Matrix<const float> qkv, Vector<const int32_t> offsets, int64_t heads,
         float scale, Matrix<float> out, int64_t repeat) {
  const attention::Row& row = kernel_by_name(attention::rows(), name);
  require_offsets("attention", offsets, extent(qkv, 0));
  require("attention", heads >= 1 && extent(out, 1) % heads == 0, "out is no whole number of heads wide");
  require("attention", extent(qkv, 1) == 3 * extent(out, 1), "qkv must be three times as wide as out");
  require("attention", extent(qkv, 0) == extent(out, 0), "qkv and out differ in tokens");
  attention::Params p;
  p.q = qkv.data();
  p.k = p.q + extent(out, 1);
  p.v = p.k + extent(out, 1);
  p.qkv_stride = extent(qkv, 1);
  p.offsets = offsets.data();
  p.heads = heads;
  p.head_dim = extent(out, 1) / heads;
  p.scale = scale;
  p.out = out.data();
  p.out_stride = extent(out, 1);
  p.end = (extent(offsets, 0) - 1) * heads;
  int64_t longest = 0;
  for (size_t s = 1; s < offsets.size(); ++s)
    longest = std::max<int64_t>(longest, offsets(s) - offsets(s - 1));
  AlignedBuffer scratch(attention::scratch_bytes(longest, p.head_dim));
  p.scratch = scratch.as<void>();
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_attention(nb::module_& m) {
  m.def("attention_run", &run, nb::arg("name"), nb::arg("qkv"), nb::arg("offsets"), nb::arg("heads"),
        nb::arg("scale"), nb::arg("out"), nb::arg("repeat") = 1,
        "Runs the named kernel row over all heads and sequences on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
