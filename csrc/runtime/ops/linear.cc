#include "runtime/ops/linear.h"

#include <array>

#include "base/checked.h"
#include "base/error.h"
#include "runtime/on_device/linear_step.h"

namespace arrowmind::runtime {
namespace {

using qmatmul::Activation;
using qmatmul::Params;

// Kernels are chosen for each number of rows up to this one when the plan is built; more rows choose the
// same.
constexpr int64_t kChoices = 65;
// Multiply-adds below which a part of a layer is not worth a barrier (about 2 us of one core).
constexpr int64_t kGrain = 1 << 18;
// Panels that kernels read side by side when rows are few; parts are whole units where there are enough.
constexpr int64_t kUnit = 4;

struct Layer {
  Params params;  // everything but the rows
  qmatmul::Weight weight;
  bool streamed;
  int64_t first_column;
  std::array<const qmatmul::Row*, kChoices> choice;

  const qmatmul::Row& row(int64_t m) const { return *choice[static_cast<size_t>(std::min(m, kChoices - 1))]; }
};

Activation activation_of(BufferType type) {
  return type == BufferType::kF32       ? Activation::kF32
         : type == BufferType::kI16     ? Activation::kI16
         : type == BufferType::kI8Block ? Activation::kI8Block
                                        : Activation::kI8;
}

class Linear : public Op {
 public:
  Linear(std::vector<Layer> layers, const LinearOptions& options)
      : layers_(std::move(layers)),
        input_(options.input),
        output_(options.output),
        residual_(options.residual) {
    reads = {input_};
    if (residual_ >= 0) reads.push_back(residual_);
    writes = {output_};
  }

  void run(const Execution& e) const override {
    const int64_t m = e.batch.tokens();
    int64_t panels = 0;
    int64_t work = 0;
    for (const Layer& layer : layers_) {
      panels += ceil_div(layer.params.n, qmatmul::kPanel);
      work += m * layer.params.n * layer.params.k;
    }
    const int64_t unit = panels >= 4 * kUnit * e.threads() ? kUnit : 1, units = ceil_div(panels, unit);
    const int64_t grain = std::max<int64_t>(1, units * kGrain / std::max<int64_t>(work, 1));
    e.spread(units, grain, [&](int64_t begin, int64_t end, int) {
      run_panels(e, begin * unit, std::min(end * unit, panels));
    });
  }

  std::vector<std::string> kernels() const override {
    std::vector<std::string> names;
    for (const Layer& layer : layers_) {
      for (const qmatmul::Row* row : layer.choice) names.emplace_back(row->row.name);
    }
    return names;
  }

  bool lower(Lowering& to) const override {
    for (const Layer& layer : layers_) {
      const LinearStep step{.params = &layer.params,
                            .weight = layer.weight,
                            .input = to.rows(input_),
                            .output = Lowering::data(output_),
                            .output_stride = to.stride(output_),
                            .residual = residual_,
                            .first_column = layer.first_column};
      if (!to.can_read(layer.streamed) || !launch_linear(to, step)) return false;
    }
    return true;
  }

 private:
  // Panels [begin, end) counted through all layers.
  void run_panels(const Execution& e, int64_t begin, int64_t end) const {
    for (const Layer& layer : layers_) {
      const int64_t panels = ceil_div(layer.params.n, qmatmul::kPanel);
      if (begin < panels && end > 0) run_layer(e, layer, std::max<int64_t>(begin, 0), std::min(end, panels));
      begin -= panels;
      end -= panels;
    }
  }

  void run_layer(const Execution& e, const Layer& layer, int64_t panel_begin, int64_t panel_end) const {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    Params p = layer.params;
    p.m = e.batch.tokens();
    p.a = in.data;
    p.a_stride = in.stride;
    p.a_scale = in.scale;
    p.a_zero = in.zero;
    p.a_sum = in.sum;
    p.c = out.f32() + layer.first_column;
    p.c_stride = out.stride;
    if (residual_ >= 0) {
      const Slot& residual = e.slots[static_cast<size_t>(residual_)];
      p.residual = residual.f32() + layer.first_column;
      p.residual_stride = residual.stride;
    }
    p.n_begin = panel_begin * qmatmul::kPanel;
    p.n_end = std::min(p.n, panel_end * qmatmul::kPanel);
    layer.row(p.m).run(p);
  }

  std::vector<Layer> layers_;
  int input_;
  int output_;
  int residual_;
};

bool is_grid(const LinearWeights& w) {
  return w.type >= qmatmul::Weight::kI8Grid;
}

// A kernel for any codes or one that needs them bound; a kernel that is forced stays.
const qmatmul::Row& cheaper(const qmatmul::Row& any, const qmatmul::Row& bound) {
  if (kernel_is_forced(any.row.name)) return any;
  return kernel_is_forced(bound.row.name) || bound.cost < any.cost ? bound : any;
}

Layer make_layer(const LinearWeights& w, BufferType type, bool gelu, int64_t first_column) {
  Layer layer{};
  layer.first_column = first_column;
  layer.weight = w.type;
  layer.streamed = w.streamed;
  layer.params = params_of(w);
  layer.params.nonlinearity = gelu ? qmatmul::Nonlinearity::kGelu : qmatmul::Nonlinearity::kNone;
  const bool is_asked = type == BufferType::kI8 && !w.streamed;
  const qmatmul::Bound bound = is_asked ? qmatmul::bound_of(w.n, w.k, w.packed) : qmatmul::Bound::kNone;
  for (int64_t m = 1; m < kChoices; ++m) {
    layer.choice[static_cast<size_t>(m)] = &select_linear(w, type, m, bound);
  }
  layer.choice[0] = layer.choice[1];
  return layer;
}

}  // namespace

void check_linear(const LinearWeights& w, int64_t input_columns, BufferType activation) {
  if (w.n < 1 || w.k != input_columns) {
    fail(ErrorKind::kWeight, "a linear layer of shape [", w.n, ", ", w.k, "] meets an input of ",
         input_columns, " columns; the weights do not belong to this configuration");
  }
  const int64_t needed = qmatmul::packed_bytes(w.type, w.n, w.k, w.grid.group);
  if (w.packed_bytes != needed) {
    fail(ErrorKind::kWeight, "a linear layer of shape [", w.n, ", ", w.k, "] has ", w.packed_bytes,
         " bytes of packed weights; it needs ", needed);
  }
  const bool codes = activation != BufferType::kF32;
  if (is_grid(w) || activation == BufferType::kI8Block) {
    if (is_grid(w) && (!codes || activation == BufferType::kI8Block)) return;
    fail(ErrorKind::kWeight, "a linear layer of shape [", w.n, ", ", w.k,
         "]: weights with groups meet float32 or int8 in blocks, and only they meet those");
  }
  const bool integer = w.type == qmatmul::Weight::kI8;
  if (integer != (w.scale != nullptr) || (codes && !integer)) {
    fail(ErrorKind::kWeight, "a linear layer of shape [", w.n, ", ", w.k,
         "]: int8 weights need scales, and quantised activations need int8 weights");
  }
  if (codes && w.sum == nullptr) {
    fail(ErrorKind::kWeight, "a linear layer of shape [", w.n, ", ", w.k,
         "]: quantised activations need sums");
  }
}

const qmatmul::Row& select_linear(const LinearWeights& w, BufferType type, int64_t m, qmatmul::Bound bound) {
  const Activation activation = activation_of(type);
  const qmatmul::Row* best = &qmatmul::select(activation, w.type, m);
  if (bound != qmatmul::Bound::kNone) {
    best = &cheaper(*best, qmatmul::select(activation, qmatmul::Weight::kI8Paired, m));
  }
  if (bound == qmatmul::Bound::kFours) {
    best = &cheaper(*best, qmatmul::select(activation, qmatmul::Weight::kI8Fours, m));
  }
  return *best;
}

void add_linear(Plan& plan, const std::vector<LinearWeights>& layers, const LinearOptions& options) {
  plan.expect(options.input, plan.type(options.input), -1, "linear input");
  const BufferType type = plan.type(options.input);
  int64_t columns = std::max<int64_t>(options.column, 0);
  std::vector<Layer> made;
  for (const LinearWeights& weights : layers) {
    check_linear(weights, plan.columns(options.input), type);
    if (type == BufferType::kI8Block && weights.grid.group != plan.group(options.input)) {
      fail(ErrorKind::kWeight, "a linear layer with scales for ", weights.grid.group,
           " inputs each meets codes in blocks for ", plan.group(options.input));
    }
    made.push_back(make_layer(weights, type, options.gelu, columns));
    columns += weights.n;
  }
  plan.expect(options.output, BufferType::kF32, options.column < 0 ? columns : -1, "linear output");
  const int64_t width = plan.columns(options.output);
  if (columns > width) {
    fail(ErrorKind::kWeight, "linear layers write columns ", options.column, " to ", columns,
         " of an output of ", width);
  }
  if (options.residual >= 0) plan.expect(options.residual, BufferType::kF32, width, "linear residual");
  plan.add_op(std::make_unique<Linear>(std::move(made), options));
}

}  // namespace arrowmind::runtime
