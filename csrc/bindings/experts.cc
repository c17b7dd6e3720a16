#include "bindings/experts.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "bindings/keepalive.h"
#include "bindings/linear.h"
#include "runtime/ops/copy.h"
#include "runtime/ops/experts.h"
#include "runtime/ops/route.h"
#include "runtime/resident_experts.h"

namespace arrowmind::bindings {

using runtime::Plan;

activate::Kind activation_kind(const std::string& name) {
  if (name == "silu") return activate::Kind::kSilu;
  if (name == "gelu") return activate::Kind::kGelu;
  if (name == "gelu-tanh") return activate::Kind::kGeluTanh;
  if (name == "cap") return activate::Kind::kCap;
  if (name == "quick-gelu") return activate::Kind::kQuickGelu;
  fail(ErrorKind::kInvalidArgument, "activation '", name, "'; use silu, gelu, gelu-tanh, quick-gelu or cap");
}

namespace {

using Bias = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ExpertDescription = std::tuple<nb::dict, nb::dict, nb::dict>;

void add_route(Plan& plan, int logits, int output, const RouterDescription& described,
               const std::optional<Bias>& bias) {
  route::Params router = router_of(described);
  if (bias) {
    plan.expect(logits, runtime::BufferType::kF32, static_cast<int64_t>(bias->size()), "router bias");
    plan.keep(keepalive(nb::cast(*bias)));
    router.bias = bias->data();
  }
  runtime::add_route(plan, logits, output, router);
}

runtime::ExpertMatrix matrix_of(Plan& plan, const nb::dict& tensor) {
  LinearDescription described(tensor);
  for (const nb::object& owner : described.owners) plan.keep(keepalive(owner));
  const runtime::LinearWeights& w = described.weights;
  const bool integer = w.type == qmatmul::Weight::kI8;
  const bool is_paired = integer && tensor.contains("paired") && nb::cast<bool>(tensor["paired"]);
  return {w, is_paired ? qmatmul::Bound::kPairs : qmatmul::Bound::kNone};
}

std::shared_ptr<runtime::ExpertSource> resident(std::vector<runtime::ExpertWeights> weights,
                                                const nb::dict& moving) {
  runtime::ResidentOptions options = {
      .blocks = nb::cast<std::vector<int32_t>>(moving["blocks"]),
      .ahead = nb::cast<std::vector<int32_t>>(moving["ahead"]),
      .threshold = nb::cast<double>(moving["threshold"]),
      .together = nb::cast<bool>(moving["together"]),
  };
  auto residency = nb::cast<std::shared_ptr<residency::Residency>>(moving["residency"]);
  if (residency == nullptr || options.blocks.size() != weights.size()) {
    fail(ErrorKind::kInvalidArgument, "experts of a residency need a block each");
  }
  return std::make_shared<runtime::ResidentExperts>(std::move(weights), std::move(residency),
                                                    std::move(options));
}

void add_experts(Plan& plan, const std::vector<ExpertDescription>& experts, int input, int route, int output,
                 const std::string& activation, const std::string& inner, int64_t inner_group, int residual,
                 const std::optional<nb::dict>& moving) {
  std::vector<runtime::ExpertWeights> weights;
  for (const auto& [gate, up, down] : experts) {
    weights.push_back({matrix_of(plan, gate), matrix_of(plan, up), matrix_of(plan, down)});
  }
  std::shared_ptr<runtime::ExpertSource> source;
  if (moving) {
    source = resident(std::move(weights), *moving);
  } else {
    source = std::make_shared<runtime::MappedExperts>(std::move(weights));
  }
  runtime::add_experts(plan, std::move(source),
                       {.input = input,
                        .route = route,
                        .output = output,
                        .residual = residual,
                        .activation = activation_kind(activation),
                        .inner = buffer_type(inner),
                        .inner_group = inner_group});
}

}  // namespace

void bind_plan_experts(nb::class_<Plan>& plan) {
  plan.def(
          "route",
          [](Plan& self, int logits, int output, int64_t top, const std::string& score,
             const std::optional<Bias>& bias, int64_t groups, int64_t kept, const std::string& group_score,
             bool normalised, float factor) {
            add_route(self, logits, output, {top, score, groups, kept, group_score, normalised, factor},
                      bias);
          },
          nb::arg("logits"), nb::arg("output"), nb::arg("top"), nb::arg("score") = "softmax",
          nb::arg("bias") = nb::none(), nb::arg("groups") = 1, nb::arg("kept") = 1,
          nb::arg("group_score") = "largest", nb::arg("normalised") = false, nb::arg("factor") = 1.0f)
      .def(
          "copy",
          [](Plan& self, int input, int output, int64_t width, int64_t count, int64_t first, int64_t step,
             int64_t to, int64_t to_step) {
            runtime::add_copy(self, input, output, width, count, {first, step}, {to, to_step});
          },
          nb::arg("input"), nb::arg("output"), nb::arg("width"), nb::arg("count") = 1, nb::arg("first") = 0,
          nb::arg("step") = 0, nb::arg("to") = 0, nb::arg("to_step") = 0)
      .def(
          "clear",
          [](Plan& self, int output, int64_t width, int64_t count, int64_t to, int64_t to_step) {
            runtime::add_clear(self, output, width, count, {to, to_step});
          },
          nb::arg("output"), nb::arg("width"), nb::arg("count") = 1, nb::arg("to") = 0,
          nb::arg("to_step") = 0)
      .def("row_scale", &runtime::add_row_scale, nb::arg("route"), nb::arg("buffer"))
      .def("experts", &add_experts, nb::arg("experts"), nb::arg("input"), nb::arg("route"), nb::arg("output"),
           nb::arg("activation") = "silu", nb::arg("inner") = "fp32", nb::arg("inner_group") = 0,
           nb::arg("residual") = -1, nb::arg("moving") = nb::none());
}

}  // namespace arrowmind::bindings
