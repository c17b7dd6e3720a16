#include "kernels/trellis/trellis.h"

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "base/thread_pool.h"
#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

// Rows of `kernel`, or of the fastest one, on as many threads.
void encode(int bits, const Matrix<const float>& values, const Matrix<const float>& scales, int64_t group,
            const Matrix<uint8_t>& codes, const Matrix<float>& levels,
            const std::optional<Vector<const float>>& weight,
            const std::optional<Matrix<const uint8_t>>& states, int threads,
            const std::optional<std::string>& kernel) {
  const int64_t n = extent(values, 0), k = extent(values, 1);
  require("trellis", bits == 2 || bits == 3, "codes have 2 or 3 bits");
  require("trellis", k >= 1 && k <= trellis::kMaxK, "rows have 1 to 262144 values");
  require("trellis", group >= 1 && extent(scales, 0) == n && extent(scales, 1) == ceil_div(k, group),
          "there is a scale for each group of each row");
  require("trellis",
          extent(codes, 0) == n && extent(codes, 1) == k && extent(levels, 0) == n && extent(levels, 1) == k,
          "codes and levels have the shape of the values");
  require("trellis", !weight || extent(*weight, 0) == k, "there is a weight for each column");
  require("trellis", !states || (extent(*states, 0) == n && extent(*states, 1) == trellis::kStride),
          "there are four states for each row");
  const trellis::Row& row = kernel ? kernel_by_name(trellis::rows(), *kernel) : trellis::select();
  ThreadPool pool(threads);
  std::vector<AlignedBuffer> scratch(static_cast<size_t>(threads));
  const nb::gil_scoped_release release;
  pool.run(ceil_div(n, trellis::kLanes), [&](int64_t task, int worker) {
    AlignedBuffer& own = scratch[static_cast<size_t>(worker)];
    own.resize(trellis::scratch_floats(k) * static_cast<int64_t>(sizeof(float)));
    const int64_t first = task * trellis::kLanes;
    trellis::Params p;
    p.bits = bits;
    p.rows = std::min(trellis::kLanes, n - first);
    p.k = k;
    p.values = values.data() + first * k;
    p.scales = scales.data() + first * extent(scales, 1);
    p.group = group;
    p.weight = weight ? weight->data() : nullptr;
    p.states = states ? states->data() + first * trellis::kStride : nullptr;
    p.codes = codes.data() + first * k;
    p.levels = levels.data() + first * k;
    p.scratch = own.as<float>();
    row.run(p);
  });
}

}  // namespace

void bind_trellis(nb::module_& m) {
  m.def("trellis_encode", &encode, nb::arg("bits"), nb::arg("values"), nb::arg("scales"), nb::arg("group"),
        nb::arg("codes"), nb::arg("levels"), nb::arg("weight") = nb::none(), nb::arg("states") = nb::none(),
        nb::arg("threads") = 1, nb::arg("kernel") = nb::none(),
        "Trellis codes whose levels lie nearest to values, and those levels.");
}

}  // namespace arrowmind::bindings
