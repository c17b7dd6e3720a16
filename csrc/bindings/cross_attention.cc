#include "kernels/cross_attention/cross_attention.h"

#include "base/aligned_buffer.h"
#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

void run(const std::string& name, const Matrix<const float>& q, const Matrix<const float>& k,
         const Matrix<const float>& v, int64_t heads, float scale, const Matrix<float>& out) {
  const cross_attention::Row& row = kernel_by_name(cross_attention::rows(), name);
  require("cross_attention", heads >= 1 && extent(q, 1) % heads == 0, "q is no whole number of heads wide");
  require("cross_attention", extent(k, 0) >= 1 && extent(k, 0) == extent(v, 0), "k and v differ in rows");
  require("cross_attention", extent(k, 1) == extent(q, 1) && extent(v, 1) == extent(q, 1),
          "q, k and v differ in width");
  require("cross_attention", extent(out, 0) == extent(q, 0) && extent(out, 1) == extent(q, 1),
          "q and out differ in shape");
  cross_attention::Params p;
  p.q = q.data();
  p.k = k.data();
  p.v = v.data();
  p.out = out.data();
  p.q_stride = p.kv_stride = p.out_stride = extent(q, 1);
  p.keys = extent(k, 0);
  p.heads = heads;
  p.head_dim = extent(q, 1) / heads;
  p.scale = scale;
  p.end = extent(q, 0) * heads;
  AlignedBuffer scratch(cross_attention::scratch_bytes(p.keys));
  p.scratch = scratch.as<void>();
  nb::gil_scoped_release release;
  row.run(p);
}

}  // namespace

void bind_cross_attention(nb::module_& m) {
  m.def("cross_attention_run", &run, nb::arg("name"), nb::arg("q"), nb::arg("k"), nb::arg("v"),
        nb::arg("heads"), nb::arg("scale"), nb::arg("out"),
        "Runs the named kernel row over all queries and heads on this thread; for tests.");
}

}  // namespace arrowmind::bindings
