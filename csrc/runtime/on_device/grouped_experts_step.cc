#include "runtime/on_device/grouped_experts_step.h"

#include <utility>

#include "base/checked.h"
#include "runtime/on_device/linear_step.h"

namespace arrowmind::runtime {
namespace {

using Matrix = ExpertMatrix ExpertWeights::*;
using Over = Grouped::Over;

bool can_be_grouped(const ExpertSource& source, Matrix matrix, int64_t most_bytes) {
  const LinearWeights& first = (source.description(0).*matrix).weights;
  const int64_t bytes = qmatmul::packed_bytes(first.type, first.n, first.k, first.grid.group);
  if (bytes > most_bytes / source.experts() || first.bias != nullptr) return false;
  for (int64_t i = 0; i < source.experts(); ++i) {
    const LinearWeights& weights = (source.description(i).*matrix).weights;
    if (weights.streamed || !are_alike(weights, first)) return false;
  }
  return true;
}

class GroupedExpertsStep {
 public:
  GroupedExpertsStep(Lowering& lowering, const ExpertSource& source, const ExpertsOptions& options,
                     const RowForm& outer, const RowForm& inner, const ExpertsScratch& scratch)
      : to_(lowering),
        source_(source),
        options_(options),
        outer_(outer),
        inner_(inner),
        scratch_(scratch),
        hidden_(lowering.plan().columns(options.output)),
        top_(lowering.plan().columns(options.route) / 2),
        from_(lowering.spare(0, 4 * top_)),
        places_(lowering.spare(4 * top_, 4 * top_)),
        tiles_(lowering.spare(8 * top_, 12 * top_)) {}

  bool lower() {
    sort();
    const RowPlaces rows = gather();
    const int64_t wide = 2 * inner_.width;
    return multiply(&ExpertWeights::gate, rows, scratch_.between, wide, 0) &&
           multiply(&ExpertWeights::up, rows, scratch_.between, wide, inner_.width) &&
           multiply(&ExpertWeights::down, bend(), scratch_.results, hidden_, 0) && combine();
  }

 private:
  Grouped over(Over what) const { return {what, top_, source_.experts()}; }

  void sort() {
    device::GroupRowsParameters p = {};
    p.route_stride = to_.stride(options_.route);
    p.top = Lowering::word(top_);
    p.experts = Lowering::word(source_.experts());
    to_.launch("group_rows", {Lowering::data(options_.route), from_, places_, tiles_}, p,
               {.x = source_.experts()})
        .grouped = over(Over::kSort);
  }

  // `top` rows for each token in a buffer, as RowForm::over() lays them out.
  RowPlaces rows_in(int buffer, const RowForm& form) const {
    RowPlaces rows;
    rows.type = form.type;
    rows.stride = form.stride;
    rows.group = form.group;
    int64_t words = 0;  // of a row, before what is next
    const auto take = [&](int64_t count) {
      return Place{Place::Kind::kData, buffer, 4 * top_ * std::exchange(words, words + count)};
    };
    rows.data = take(ceil_div(form.stride * bytes_of(form.type), int64_t{4}));
    if (form.type == BufferType::kF32) return rows;
    rows.scale = take(form.scales);
    rows.sum = take(form.sums);
    if (form.type == BufferType::kI8) rows.zero = take(1);
    return rows;
  }

  RowPlaces gather() {
    const RowPlaces in = to_.rows(options_.input), out = rows_in(scratch_.gathered, outer_);
    move(in.data, out.data, ceil_div(outer_.stride * bytes_of(outer_.type), int64_t{4}));
    if (outer_.type == BufferType::kF32) return out;
    move(in.scale, out.scale, outer_.scales);
    move(in.sum, out.sum, outer_.sums);
    if (outer_.type == BufferType::kI8) move(in.zero, out.zero, 1);
    return out;
  }

  void move(const Place& in, const Place& out, int64_t words) {
    device::MoveRowsParameters p = {};
    p.width = p.in_stride = p.out_stride = Lowering::word(words);
    p.flags = device::kHasFrom;
    to_.launch("move_rows", {in, from_, Place{}, out}, p, {.x = words}).grouped = over(Over::kPairs);
  }

  bool multiply(Matrix matrix, const RowPlaces& in, int out, int64_t stride, int64_t column) {
    std::vector<qmatmul::Params> all;
    for (int64_t i = 0; i < source_.experts(); ++i) {
      all.push_back(params_of((source_.description(i).*matrix).weights));
    }
    return launch_linear(to_, {.params = &all.front(),
                               .weight = (source_.description(0).*matrix).weights.type,
                               .input = in,
                               .output = Lowering::data(out),
                               .output_stride = stride,
                               .first_column = column,
                               .matrices = all,
                               .tiles = tiles_,
                               .grouped = over(Over::kTiles)});
  }

  // activation(gate) * up where the gate was, and what the downs meet.
  RowPlaces bend() {
    const Place between = Lowering::data(scratch_.between);
    device::ActivateParameters p = {};
    p.width = Lowering::word(inner_.width);
    p.x_stride = p.out_stride = Lowering::word(2 * inner_.width);
    p.kind = static_cast<uint32_t>(options_.activation);  // device::Activation has the same order
    p.flags = device::kGated;
    to_.launch("activate", {between, between}, p, {.x = inner_.width}).grouped = over(Over::kPairs);
    if (inner_.type != BufferType::kF32) return code(between);
    RowPlaces rows;
    rows.stride = 2 * inner_.width;
    rows.data = between;
    return rows;
  }

  RowPlaces code(const Place& bent) {
    const RowPlaces out = rows_in(scratch_.codes, inner_);
    device::QuantiseParameters p = {};
    p.x_stride = Lowering::word(2 * inner_.width);
    p.width = Lowering::word(inner_.width);
    p.stride = Lowering::word(inner_.stride);
    p.block = Lowering::word(grid::block_of(inner_.group));
    p.part = Lowering::word(grid::part_of(inner_.group));
    p.blocks = p.stride / p.block;
    p.parts = p.stride / p.part;
    to_.launch(quantise_kernel(inner_.type), {bent, Place{}, out.data, out.scale, out.sum, out.zero}, p,
               {.x = inner_.type == BufferType::kI8Block ? p.blocks : 1})
        .grouped = over(Over::kPairs);
    return out;
  }

  bool combine() {
    const bool has_residual = options_.residual >= 0;
    device::CombineParameters p = {};
    p.width = p.in_stride = Lowering::word(hidden_);
    p.top = Lowering::word(top_);
    p.weights_stride = to_.stride(options_.route);
    p.out_stride = to_.stride(options_.output);
    p.residual_stride = has_residual ? to_.stride(options_.residual) : 0;
    p.flags = device::kHasFrom | (has_residual ? device::kHasResidual : 0u);
    to_.launch("combine",
               {Lowering::data(scratch_.results), Lowering::data(options_.route),
                has_residual ? Lowering::data(options_.residual) : Place{}, Lowering::data(options_.output),
                places_},
               p, {.x = hidden_});
    return true;
  }

  Lowering& to_;
  const ExpertSource& source_;
  const ExpertsOptions& options_;
  const RowForm &outer_, &inner_;
  const ExpertsScratch& scratch_;
  int64_t hidden_, top_;
  Place from_, places_, tiles_;
};

}  // namespace

bool lower_grouped_experts(Lowering& lowering, const ExpertSource& source, const ExpertsOptions& options,
                           const RowForm& outer, const RowForm& inner, const ExpertsScratch& scratch) {
  if (!source.stays()) return false;
  for (const Matrix matrix : {&ExpertWeights::gate, &ExpertWeights::up, &ExpertWeights::down}) {
    if (!can_be_grouped(source, matrix, lowering.most_place_bytes())) return false;
  }
  return GroupedExpertsStep(lowering, source, options, outer, inner, scratch).lower();
}

}  // namespace arrowmind::runtime
