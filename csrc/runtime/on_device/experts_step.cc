#include "runtime/on_device/experts_step.h"

#include "base/checked.h"
#include "runtime/on_device/linear_step.h"

namespace arrowmind::runtime {
namespace {

// Where the rows of one expert after another lie, and what all of them gave.
struct Memory {
  RowPlaces gathered, coded;
  Place between, bent, given, results;
};

class ExpertsStep {
 public:
  ExpertsStep(Lowering& lowering, const ExpertsOptions& options, const RowForm& outer, const RowForm& inner)
      : to_(lowering),
        options_(options),
        outer_(outer),
        inner_(inner),
        hidden_(lowering.plan().columns(options.output)),
        top_(lowering.plan().columns(options.route) / 2) {
    memory_.gathered = take_rows(outer);
    memory_.between = take(8 * inner.width);
    memory_.bent = take(4 * inner.width);
    memory_.coded = inner.type == BufferType::kF32 ? floats(memory_.bent, inner.width) : take_rows(inner);
    memory_.given = take(4 * hidden_);
    memory_.results = take(4 * top_ * hidden_);
  }

  bool lower(const ExpertSource& source) {
    to_.route({.route = options_.route, .top = top_, .experts = source.experts(), .each = 0});
    if (!lower_each(source)) return false;
    combine();
    return true;
  }

  // Where the CPU adds up.
  bool lower_singly(ExpertSource& source) {
    may_move_ = !source.stays();
    to_.take_over({.route = options_.route,
                   .top = top_,
                   .experts = source.experts(),
                   .each = 0,
                   .results = memory_.results,
                   .source = may_move_ ? &source : nullptr});
    return lower_each(source);
  }

 private:
  // Every expert has as many steps: the number of those of the first.
  bool lower_each(const ExpertSource& source) {
    const size_t begin = to_.steps().size() - 1;
    for (int64_t i = 0; i < source.experts(); ++i) {
      if (!lower_one(source.description(i))) return false;
      if (i == 0) to_.count_each(begin);
    }
    return true;
  }

  Place take(int64_t bytes) {
    const Place place = to_.spare(used_, bytes);
    used_ += bytes;
    return place;
  }

  static RowPlaces floats(const Place& data, int64_t stride) {
    RowPlaces rows;
    rows.stride = stride;
    rows.data = data;
    return rows;
  }

  RowPlaces take_rows(const RowForm& form) {
    RowPlaces rows;
    rows.type = form.type;
    rows.stride = form.stride;
    rows.group = form.group;
    rows.data = take(round_up(form.stride * bytes_of(form.type), 4));
    if (form.type == BufferType::kF32) return rows;
    rows.scale = take(4 * form.scales);
    rows.sum = take(4 * form.sums);
    if (form.type == BufferType::kI8) rows.zero = take(4);
    return rows;
  }

  // `words` of each row, by lists of rows.
  void move(const Place& in, const Place& out, int64_t words, uint32_t list) {
    device::MoveRowsParameters p = {};
    p.width = p.in_stride = p.out_stride = Lowering::word(words);
    p.flags = list;
    using Kind = Place::Kind;
    to_.launch("move_rows",
               {in, list == device::kHasFrom ? Lowering::of(Kind::kFrom) : Place{},
                list == device::kHasTo ? Lowering::of(Kind::kTo) : Place{}, out},
               p, {.x = words});
  }

  void gather() {
    const RowPlaces in = to_.rows(options_.input);
    const RowPlaces& out = memory_.gathered;
    move(in.data, out.data, ceil_div(outer_.stride * bytes_of(outer_.type), int64_t{4}), device::kHasFrom);
    if (outer_.type == BufferType::kF32) return;
    move(in.scale, out.scale, outer_.scales, device::kHasFrom);
    move(in.sum, out.sum, outer_.sums, device::kHasFrom);
    if (outer_.type == BufferType::kI8) move(in.zero, out.zero, 1, device::kHasFrom);
  }

  bool multiply(const ExpertMatrix& matrix, const RowPlaces& in, const Place& out, int64_t stride,
                int64_t column) {
    const qmatmul::Params params = params_of(matrix.weights);
    const bool can_read = may_move_ || !matrix.weights.streamed;
    return can_read && launch_linear(to_, {.params = &params,
                                           .weight = matrix.weights.type,
                                           .input = in,
                                           .output = out,
                                           .output_stride = stride,
                                           .residual = -1,
                                           .first_column = column});
  }

  void bend() {
    device::ActivateParameters p = {};
    p.width = p.out_stride = Lowering::word(inner_.width);
    p.x_stride = Lowering::word(2 * inner_.width);
    p.kind = static_cast<uint32_t>(options_.activation);  // device::Activation has the same order
    p.flags = device::kGated;
    to_.launch("activate", {memory_.between, memory_.bent}, p, {.x = inner_.width});
  }

  void code() {
    const bool in_blocks = inner_.type == BufferType::kI8Block;
    device::QuantiseParameters p = {};
    p.x_stride = p.width = Lowering::word(inner_.width);
    p.stride = Lowering::word(inner_.stride);
    p.block = Lowering::word(grid::block_of(inner_.group));
    p.part = Lowering::word(grid::part_of(inner_.group));
    p.blocks = p.stride / p.block;
    p.parts = p.stride / p.part;
    const RowPlaces& out = memory_.coded;
    to_.launch(quantise_kernel(inner_.type), {memory_.bent, Place{}, out.data, out.scale, out.sum, out.zero},
               p, {.x = in_blocks ? p.blocks : 1});
  }

  bool lower_one(const ExpertWeights& expert) {
    gather();
    const int64_t wide = 2 * inner_.width;
    if (!multiply(expert.gate, memory_.gathered, memory_.between, wide, 0) ||
        !multiply(expert.up, memory_.gathered, memory_.between, wide, inner_.width)) {
      return false;
    }
    bend();
    if (inner_.type != BufferType::kF32) code();
    if (!multiply(expert.down, memory_.coded, memory_.given, hidden_, 0)) return false;
    move(memory_.given, memory_.results, hidden_, device::kHasTo);
    return true;
  }

  void combine() {
    device::CombineParameters p = {};
    p.width = p.in_stride = Lowering::word(hidden_);
    p.top = Lowering::word(top_);
    p.weights_stride = to_.stride(options_.route);
    p.out_stride = to_.stride(options_.output);
    const bool has_residual = options_.residual >= 0;
    p.residual_stride = has_residual ? to_.stride(options_.residual) : 0;
    p.flags = has_residual ? device::kHasResidual : 0u;
    to_.launch("combine",
               {memory_.results, Lowering::data(options_.route),
                has_residual ? Lowering::data(options_.residual) : Place{}, Lowering::data(options_.output),
                Place{}},
               p, {.x = hidden_});
  }

  Lowering& to_;
  const ExpertsOptions& options_;
  const RowForm &outer_, &inner_;
  int64_t hidden_, top_;
  int64_t used_ = 0;
  bool may_move_ = false;  // weights have no address yet
  Memory memory_;
};

}  // namespace

bool lower_experts(Lowering& lowering, const ExpertSource& source, const ExpertsOptions& options,
                   const RowForm& outer, const RowForm& inner) {
  if (!source.stays()) return false;
  return ExpertsStep(lowering, options, outer, inner).lower(source);
}

bool lower_single_experts(Lowering& lowering, ExpertSource& source, const ExpertsOptions& options,
                          const RowForm& outer, const RowForm& inner) {
  return ExpertsStep(lowering, options, outer, inner).lower_singly(source);
}

}  // namespace arrowmind::runtime
