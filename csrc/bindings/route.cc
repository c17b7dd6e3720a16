#include "kernels/route/route.h"

#include "bindings/arrays.h"
#include "bindings/experts.h"

namespace arrowmind::bindings {

route::Params router_of(const RouterDescription& d) {
  if (d.score != "softmax" && d.score != "sigmoid") {
    fail(ErrorKind::kInvalidArgument, "router scores '", d.score, "'; use softmax or sigmoid");
  }
  if (d.group_score != "largest" && d.group_score != "two-largest") {
    fail(ErrorKind::kInvalidArgument, "group scores '", d.group_score, "'; use largest or two-largest");
  }
  route::Params p;
  p.top = d.top;
  p.score = d.score == "softmax" ? route::Score::kSoftmax : route::Score::kSigmoid;
  p.groups = d.groups;
  p.kept = d.kept;
  p.group_score = d.group_score == "largest" ? route::GroupScore::kLargest : route::GroupScore::kTwoLargest;
  p.normalised = d.normalised;
  p.factor = d.factor;
  return p;
}

namespace {

void run(const std::string& name, const Matrix<const float>& x, const Matrix<float>& out,
         const RouterDescription& router, const std::optional<Vector<const float>>& bias) {
  const route::Row& row = kernel_by_name(route::rows(), name);
  route::Params p = router_of(router);
  p.x = x.data();
  p.x_stride = p.experts = extent(x, 1);
  route::check(p);
  require("route", extent(out, 0) == extent(x, 0) && extent(out, 1) == 2 * p.top,
          "out needs two columns for each expert that is chosen");
  require("route", !bias || extent(*bias, 0) == p.experts, "there is a bias for each expert");
  p.bias = bias ? bias->data() : nullptr;
  p.out = out.data();
  p.out_stride = extent(out, 1);
  p.end = extent(x, 0);
  nb::gil_scoped_release release;
  row.run(p);
}

}  // namespace

void bind_route(nb::module_& m) {
  m.def(
      "route_run",
      [](const std::string& name, const Matrix<const float>& x, const Matrix<float>& out, int64_t top,
         const std::string& score, const std::optional<Vector<const float>>& bias, int64_t groups,
         int64_t kept, const std::string& group_score, bool normalised, float factor) {
        run(name, x, out, {top, score, groups, kept, group_score, normalised, factor}, bias);
      },
      nb::arg("name"), nb::arg("x"), nb::arg("out"), nb::arg("top"), nb::arg("score") = "softmax",
      nb::arg("bias") = nb::none(), nb::arg("groups") = 1, nb::arg("kept") = 1,
      nb::arg("group_score") = "largest", nb::arg("normalised") = false, nb::arg("factor") = 1.0f,
      "Runs the named kernel row over all rows on this thread; for tests.");
}

}  // namespace arrowmind::bindings
