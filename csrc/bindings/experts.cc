#include "bindings/experts.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "bindings/grid.h"
#include "bindings/keepalive.h"
#include "bindings/linear.h"
#include "bindings/weight_table.h"
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
// Gate, up and down of each expert, by their rows.
using TableRows = std::pair<WeightTableHandle, std::vector<int32_t>>;

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
      .next = nb::cast<std::vector<int32_t>>(moving["next"]),
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

static_assert(static_cast<int>(qmatmul::Scale::kF32) + 1 == static_cast<int>(weights::Scale::kF32) &&
              static_cast<int>(qmatmul::Scale::kE4M3) + 1 == static_cast<int>(weights::Scale::kE4M3));

// Matrices whose codes come and go, as a table of weights has them.
class TableMatrices {
 public:
  TableMatrices(const weights::WeightTable& table, const arrow::MappedFile& codes)
      : table_(table), codes_(codes) {}

  runtime::ExpertMatrix operator()(int32_t row) const {
    if (row < 0 || row >= table_.rows()) fail(ErrorKind::kInvalidArgument, "row ", row, " of the weights");
    const weights::Description& tensor = table_.description(row);
    const bool is_grid = tensor.scale != weights::Scale::kNone;
    runtime::LinearWeights w;
    const std::string type(table_.text("quant_type", row));
    w.type = weight_type(type, is_grid ? std::optional<int64_t>(tensor.group) : std::nullopt);
    w.n = tensor.n;
    w.k = tensor.k;
    w.packed_bytes = qmatmul::packed_bytes(w.type, w.n, w.k, is_grid ? tensor.group : 0);
    if (!tensor.is_packed || w.packed_bytes > tensor.codes_bytes) {
      fail(ErrorKind::kWeight, "tensor '", table_.text("name", row), "' is not packed for a linear layer");
    }
    w.packed = at(codes_, row, weights::Buffer::kCodes);
    w.streamed = true;
    if (is_grid) {
      w.grid = {.group = tensor.group,
                .scale_type = static_cast<qmatmul::Scale>(static_cast<int>(tensor.scale) - 1),
                .scales = at(codes_, row, weights::Buffer::kScales),
                .outer = values<float>(row, weights::Buffer::kOuterScales),
                .zeros = at(codes_, row, weights::Buffer::kZeroPoints)};
    } else {
      w.scale = values<float>(row, weights::Buffer::kScales);
      w.zero = values<float>(row, weights::Buffer::kZeroPoints);
      w.sum = values<int32_t>(row, weights::Buffer::kSums);
    }
    return {w, qmatmul::Bound::kNone};
  }

 private:
  const uint8_t* at(const arrow::MappedFile& file, int32_t row, weights::Buffer buffer) const {
    const arrow::FileRange range = table_.range(row, buffer);
    if (!range_fits(range.offset, range.size, file.size())) {
      fail(ErrorKind::kIntegrity, file.path(), ": became shorter while it was opened; restore it");
    }
    return range.size == 0 ? nullptr : file.data() + range.offset;
  }
  template <typename T>
  const T* values(int32_t row, weights::Buffer buffer) const {
    return reinterpret_cast<const T*>(at(*table_.mapping(), row, buffer));
  }

  const weights::WeightTable& table_;
  const arrow::MappedFile& codes_;
};

std::vector<runtime::ExpertWeights> described(Plan& plan, const std::vector<ExpertDescription>& experts) {
  std::vector<runtime::ExpertWeights> weights;
  for (const auto& [gate, up, down] : experts) {
    weights.push_back({matrix_of(plan, gate), matrix_of(plan, up), matrix_of(plan, down)});
  }
  return weights;
}

std::vector<runtime::ExpertWeights> described(Plan& plan, const TableRows& rows,
                                              const std::optional<nb::dict>& moving) {
  const auto& [handle, numbers] = rows;
  const weights::WeightTable& table = *handle.table;
  if (!moving || !table.is_sound() || numbers.size() % 3 != 0) {
    fail(ErrorKind::kInvalidArgument, "experts of a table come and go, and are three sound rows each");
  }
  const auto residency = nb::cast<std::shared_ptr<residency::Residency>>((*moving)["residency"]);
  if (residency == nullptr) fail(ErrorKind::kInvalidArgument, "experts of a table need a residency");
  if (table.first_unsound(numbers, nullptr) >= 0) {
    fail(ErrorKind::kIntegrity, "buffers of experts are damaged; convert or copy the model again");
  }
  const TableMatrices matrix(table, *residency->file());
  std::vector<runtime::ExpertWeights> weights;
  for (size_t i = 0; i < numbers.size(); i += 3) {
    weights.push_back({matrix(numbers[i]), matrix(numbers[i + 1]), matrix(numbers[i + 2])});
  }
  plan.keep(handle.table);
  return weights;
}

void add_experts(Plan& plan, const std::variant<TableRows, std::vector<ExpertDescription>>& experts,
                 int input, int route, int output, const std::string& activation, const std::string& inner,
                 int64_t inner_group, int residual, const std::optional<nb::dict>& moving, int guess) {
  const auto* rows = std::get_if<TableRows>(&experts);
  std::vector<runtime::ExpertWeights> weights =
      rows != nullptr ? described(plan, *rows, moving) : described(plan, std::get<1>(experts));
  std::shared_ptr<runtime::ExpertSource> source;
  int guessed = 0;
  if (moving) {
    guessed = static_cast<int>(nb::len(nb::object((*moving)["next"])));
    source = resident(std::move(weights), *moving);
  } else {
    source = std::make_shared<runtime::MappedExperts>(std::move(weights));
  }
  runtime::add_experts(plan, std::move(source),
                       {.input = input,
                        .route = route,
                        .output = output,
                        .guess = guess,
                        .guessed = guessed,
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
           nb::arg("residual") = -1, nb::arg("moving") = nb::none(), nb::arg("guess") = -1);
}

}  // namespace arrowmind::bindings
