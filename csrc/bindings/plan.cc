#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "bindings/arrays.h"
#include "bindings/bindings.h"
#include "bindings/experts.h"
#include "bindings/keepalive.h"
#include "bindings/linear.h"
#include "bindings/plan_parts.h"
#include "bindings/senses.h"
#include "runtime/ops/activate.h"
#include "runtime/ops/add.h"
#include "runtime/ops/attention.h"
#include "runtime/ops/border.h"
#include "runtime/ops/head_linear.h"
#include "runtime/ops/linear.h"
#include "runtime/ops/multiply.h"
#include "runtime/ops/need.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/observe.h"
#include "runtime/ops/pool.h"
#include "runtime/ops/quantise.h"
#include "runtime/ops/rope.h"
#include "runtime/plan.h"

namespace arrowmind::bindings {
namespace {

using runtime::Plan;

std::vector<runtime::LinearWeights> weights_of(Plan& plan, const std::vector<nb::dict>& layers) {
  std::vector<runtime::LinearWeights> weights;
  for (const nb::dict& layer : layers) {
    LinearDescription described(layer);
    for (const nb::object& owner : described.owners) plan.keep(keepalive(owner));
    weights.push_back(described.weights);
  }
  return weights;
}

void linear(Plan& plan, const std::vector<nb::dict>& layers, int input, int output, int residual, bool gelu,
            int64_t column) {
  runtime::add_linear(
      plan, weights_of(plan, layers),
      {.input = input, .output = output, .residual = residual, .gelu = gelu, .column = column});
}

void linear_heads(Plan& plan, const std::vector<nb::dict>& heads, int input, int output, int64_t first,
                  int64_t step, int64_t to, int64_t to_step) {
  runtime::add_head_linear(plan, weights_of(plan, heads), input, output, {first, step}, {to, to_step});
}

void layer_norm(Plan& plan, int input, int output, const Vector<const float>& gamma,
                const Vector<const float>& beta, float epsilon) {
  const int64_t columns = plan.columns(input);
  if (static_cast<int64_t>(gamma.size()) != columns || beta.size() != gamma.size()) {
    fail(ErrorKind::kWeight, "a layer norm of ", gamma.size(), " values meets ", columns, " columns");
  }
  plan.keep(keepalive(nb::cast(gamma)));
  plan.keep(keepalive(nb::cast(beta)));
  runtime::add_norm(plan, {gamma.data(), beta.data(), epsilon}, {.width = columns}, input, output);
}

void rms_norm(Plan& plan, int input, int output, const Vector<const float>& gamma, float epsilon,
              int64_t first, int64_t pieces) {
  plan.keep(keepalive(nb::cast(gamma)));
  const runtime::Pieces place = {
      .first = first, .count = pieces, .width = static_cast<int64_t>(gamma.size())};
  runtime::add_norm(plan, {gamma.data(), nullptr, epsilon}, place, input, output);
}

void turns(Plan& plan, int output, const Vector<const float>& frequencies, float factor) {
  if (2 * static_cast<int64_t>(frequencies.size()) != plan.columns(output)) {
    fail(ErrorKind::kInvalidArgument, "turns: ", frequencies.size(), " frequencies for ",
         plan.columns(output), " columns");
  }
  plan.keep(keepalive(nb::cast(frequencies)));
  runtime::add_turns(plan, output, frequencies.data(), factor);
}

void rope(Plan& plan, int buffer, int turned_by, int64_t first, int64_t heads, int64_t head_dim,
          bool interleaved) {
  runtime::add_rope(plan, buffer, turned_by, {.first = first, .count = heads, .width = head_dim},
                    interleaved);
}

void attention(Plan& plan, int input, int output, int64_t heads, int64_t key_heads, bool causal,
               int64_t window, float scale, float cap, int64_t layer) {
  runtime::add_attention(plan, input, output,
                         {.heads = heads,
                          .key_heads = key_heads > 0 ? key_heads : heads,
                          .scale = scale,
                          .causal = causal,
                          .window = window,
                          .cap = cap,
                          .layer = layer});
}

// A value for each column of `input`, kept alive by the plan.
const float* per_column(Plan& plan, int input, const Vector<const float>& values, const char* what) {
  if (static_cast<int64_t>(values.size()) != plan.columns(input)) {
    fail(ErrorKind::kWeight, what, " of ", values.size(), " values meets ", plan.columns(input), " columns");
  }
  plan.keep(keepalive(nb::cast(values)));
  return values.data();
}

void quantise(Plan& plan, int input, int output, const std::optional<Vector<const float>>& multiplier) {
  runtime::add_quantise(plan, input, output,
                        multiplier ? per_column(plan, input, *multiplier, "a multiplier") : nullptr);
}

void multiply(Plan& plan, int input, int output, const Vector<const float>& multiplier) {
  runtime::add_multiply(plan, input, output, per_column(plan, input, multiplier, "a multiplier"));
}

void need(Plan& plan, std::shared_ptr<residency::Residency> residency, std::vector<int32_t> blocks,
          std::vector<int32_t> ahead) {
  runtime::add_need(plan, std::move(residency), {.blocks = std::move(blocks), .ahead = std::move(ahead)});
}

void observe(Plan& plan, int input, const Matrix<double>& statistics) {
  const size_t columns = static_cast<size_t>(plan.columns(input));
  if (statistics.shape(0) != 2 || statistics.shape(1) != columns) {
    fail(ErrorKind::kInvalidArgument, "statistics have shape [", statistics.shape(0), ", ",
         statistics.shape(1), "]; [2, ", columns, "] is needed");
  }
  plan.keep(keepalive(nb::cast(statistics)));
  runtime::add_observe(plan, input, {.magnitude = statistics.data(), .squares = statistics.data() + columns});
}

void record(Plan& plan, int input, const Matrix<float>& rows, const Vector<int64_t>& count) {
  if (static_cast<int64_t>(rows.shape(1)) != plan.columns(input) || count.size() != 1) {
    fail(ErrorKind::kInvalidArgument, "a record of ", rows.shape(1), " columns and ", count.size(),
         " counts; [rows, ", plan.columns(input), "] and one count are needed");
  }
  plan.keep(keepalive(nb::cast(rows)));
  plan.keep(keepalive(nb::cast(count)));
  runtime::add_record(
      plan, input,
      {.rows = rows.data(), .capacity = static_cast<int64_t>(rows.shape(0)), .count = count.data()});
}

void pool(Plan& plan, int input, const std::string& kind) {
  if (kind != "mean" && kind != "cls" && kind != "last")
    fail(ErrorKind::kInvalidArgument, "pooling '", kind, "'; use mean, cls or last");
  runtime::add_pool(plan, input,
                    kind == "mean"  ? pool::Mode::kMean
                    : kind == "cls" ? pool::Mode::kFirst
                                    : pool::Mode::kLast);
}

Plan* make_plan(int64_t vocabulary, int64_t max_length, int64_t output_columns) {
  return new Plan({.vocabulary = vocabulary, .max_length = max_length, .output_columns = output_columns});
}

}  // namespace

void bind_plan(nb::module_& m) {
  nb::class_<Plan> plan_class(m, "Plan",
                              "A forward as a flat list of operators over buffers; see csrc/runtime/plan.h.");
  bind_plan_embed(plan_class);
  bind_plan_experts(plan_class);
  bind_plan_senses(plan_class);
  bind_plan_runs(plan_class);
  plan_class
      .def(nb::new_(&make_plan), nb::arg("vocabulary"), nb::arg("max_length"), nb::arg("output_columns"))
      .def(
          "buffer",
          [](Plan& plan, const std::string& type, int64_t columns, int64_t group) {
            return plan.add_buffer(buffer_type(type), columns, group);
          },
          nb::arg("type"), nb::arg("columns"), nb::arg("group") = 0)
      .def("columns", &Plan::columns, nb::arg("buffer"))
      .def("layer_norm", &layer_norm, nb::arg("input"), nb::arg("output"), nb::arg("gamma"), nb::arg("beta"),
           nb::arg("epsilon"))
      .def("rms_norm", &rms_norm, nb::arg("input"), nb::arg("output"), nb::arg("gamma"), nb::arg("epsilon"),
           nb::arg("first") = 0, nb::arg("pieces") = 1)
      .def("turns", &turns, nb::arg("output"), nb::arg("frequencies"), nb::arg("factor") = 1.0f)
      .def("rope", &rope, nb::arg("buffer"), nb::arg("turns"), nb::arg("first"), nb::arg("heads"),
           nb::arg("head_dim"), nb::arg("interleaved") = false)
      .def(
          "activate",
          [](Plan& plan, int input, int output, const std::string& kind, float cap) {
            runtime::add_activate(plan, activation_kind(kind), cap, input, output);
          },
          nb::arg("input"), nb::arg("output"), nb::arg("kind"), nb::arg("cap") = 0.0f)
      .def("border", &runtime::add_border)
      .def("need", &need, nb::arg("residency"), nb::arg("blocks"), nb::arg("ahead"))
      .def("add", &runtime::add_sum, nb::arg("input"), nb::arg("output"))
      .def("quantise", &quantise, nb::arg("input"), nb::arg("output"), nb::arg("multiplier") = nb::none())
      .def("multiply", &multiply, nb::arg("input"), nb::arg("output"), nb::arg("multiplier"))
      .def("observe", &observe, nb::arg("input"), nb::arg("statistics"))
      .def("record", &record, nb::arg("input"), nb::arg("rows"), nb::arg("count"))
      .def("linear", &linear, nb::arg("layers"), nb::arg("input"), nb::arg("output"),
           nb::arg("residual") = -1, nb::arg("gelu") = false, nb::arg("column") = -1)
      .def("linear_heads", &linear_heads, nb::arg("heads"), nb::arg("input"), nb::arg("output"),
           nb::arg("first"), nb::arg("step"), nb::arg("to"), nb::arg("to_step"))
      .def("attention", &attention, nb::arg("input"), nb::arg("output"), nb::arg("heads"),
           nb::arg("key_heads") = 0, nb::arg("causal") = false, nb::arg("window") = 0,
           nb::arg("scale") = 0.0f, nb::arg("cap") = 0.0f, nb::arg("layer") = -1)
      .def("pool", &pool, nb::arg("input"), nb::arg("kind"))
      .def("result", &Plan::set_result, nb::arg("buffer"))
      .def("source", &Plan::set_source, nb::arg("buffer"))
      .def("finish", &Plan::finish)
      .def("kernels", &Plan::kernels)
      .def_prop_ro("scratch_bytes_per_token", &Plan::scratch_bytes_per_token);
}

}  // namespace arrowmind::bindings
