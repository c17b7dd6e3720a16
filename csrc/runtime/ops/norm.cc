#include "runtime/ops/norm.h"

#include "kernels/norm/norm.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class LayerNorm : public Op {
 public:
  LayerNorm(const LayerNormWeights& weights, int64_t width, int input, int output)
      : kernel_(norm::select()), input_(input), output_(output) {
    params_.gamma = weights.gamma;
    params_.beta = weights.beta;
    params_.eps = weights.epsilon;
    params_.width = width;
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      norm::Params p = params_;
      p.x = in.f32();
      p.x_stride = in.stride;
      p.y = out.f32();
      p.y_stride = out.stride;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

 private:
  const norm::Row& kernel_;
  norm::Params params_;
  int input_;
  int output_;
};

}  // namespace

void add_layer_norm(Plan& plan, const LayerNormWeights& weights, int input, int output) {
  plan.expect(input, BufferType::kF32, -1, "layer norm input");
  plan.expect(output, BufferType::kF32, plan.columns(input), "layer norm output");
  plan.add_op(std::make_unique<LayerNorm>(weights, plan.columns(input), input, output));
}

}  // namespace arrowmind::runtime
