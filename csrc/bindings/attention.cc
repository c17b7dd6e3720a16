#include "kernels/attention/attention.h"

#include <algorithm>

#include "base/aligned_buffer.h"
#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

struct Form {
  int64_t heads, key_heads;
  float scale;
  bool causal;
  int64_t window;
  float cap;
};

void run(const std::string& name, const Matrix<const float>& qkv, const Vector<const int32_t>& offsets,
         const Form& form, const Matrix<float>& out, int64_t repeat) {
  const attention::Row& row = kernel_by_name(attention::rows(), name);
  require_offsets("attention", offsets, extent(qkv, 0));
  require("attention", form.heads >= 1 && extent(out, 1) % form.heads == 0,
          "out is no whole number of heads wide");
  require("attention", form.key_heads >= 1 && form.heads % form.key_heads == 0,
          "heads of keys do not divide the heads");
  require("attention", form.window >= 0 && (form.window == 0 || form.causal), "windows are causal");
  attention::Params p;
  p.heads = form.heads;
  p.key_heads = form.key_heads;
  p.head_dim = extent(out, 1) / form.heads;
  require(
      "attention", extent(qkv, 1) == extent(out, 1) + 2 * p.key_heads * p.head_dim,
      "qkv must be as wide as out, keys and values: three times as wide as out where all heads have keys");
  require("attention", extent(qkv, 0) == extent(out, 0), "qkv and out differ in tokens");
  p.q = qkv.data();
  p.k = p.q + extent(out, 1);
  p.v = p.k + p.key_heads * p.head_dim;
  p.qkv_stride = extent(qkv, 1);
  p.offsets = offsets.data();
  p.scale = form.scale;
  p.causal = form.causal;
  p.window = form.window;
  p.cap = form.cap;
  p.out = out.data();
  p.out_stride = extent(out, 1);
  p.end = (extent(offsets, 0) - 1) * p.key_heads;
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
  m.def(
      "attention_run",
      [](const std::string& name, const Matrix<const float>& qkv, const Vector<const int32_t>& offsets,
         int64_t heads, float scale, const Matrix<float>& out, int64_t repeat, int64_t key_heads, bool causal,
         int64_t window, float cap) {
        run(name, qkv, offsets, {heads, key_heads > 0 ? key_heads : heads, scale, causal, window, cap}, out,
            repeat);
      },
      nb::arg("name"), nb::arg("qkv"), nb::arg("offsets"), nb::arg("heads"), nb::arg("scale"), nb::arg("out"),
      nb::arg("repeat") = 1, nb::arg("key_heads") = 0, nb::arg("causal") = false, nb::arg("window") = 0,
      nb::arg("cap") = 0.0f,
      "Runs the named kernel row over all heads and sequences on this thread; for tests and benchmarks.");
}

}  // namespace arrowmind::bindings
