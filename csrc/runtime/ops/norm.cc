#include "runtime/ops/norm.h"

#include "base/error.h"
#include "kernels/norm/norm.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Norm : public Op {
 public:
  Norm(const NormWeights& weights, const Pieces& pieces, int input, int output)
      : kernel_(norm::select()), pieces_(pieces), input_(input), output_(output) {
    params_.gamma = weights.gamma;
    params_.beta = weights.beta;
    params_.eps = weights.epsilon;
    params_.width = pieces.width;
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      norm::Params p = params_;
      p.x_stride = in.stride;
      p.y_stride = out.stride;
      p.begin = begin;
      p.end = end;
      for (int64_t i = 0; i < pieces_.count; ++i) {
        p.x = in.f32() + pieces_.first + i * pieces_.width;
        p.y = out.f32() + pieces_.first + i * pieces_.width;
        kernel_.run(p);
      }
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::NormParameters p = {};
    p.x_stride = to.stride(input_);
    p.y_stride = to.stride(output_);
    p.first = Lowering::word(pieces_.first);
    p.width = Lowering::word(pieces_.width);
    p.pieces = Lowering::word(pieces_.count);
    p.epsilon = params_.eps;
    p.flags = params_.beta != nullptr ? device::kHasBeta : 0u;
    to.launch("norm",
              {Lowering::data(input_), to.constant(params_.gamma, pieces_.width * 4),
               to.constant(params_.beta, pieces_.width * 4), Lowering::data(output_)},
              p, {.z = pieces_.count});
    return true;
  }

 private:
  const norm::Row& kernel_;
  norm::Params params_;
  Pieces pieces_;
  int input_;
  int output_;
};

}  // namespace

void add_norm(Plan& plan, const NormWeights& weights, const Pieces& pieces, int input, int output) {
  plan.expect(input, BufferType::kF32, -1, "norm input");
  plan.expect(output, BufferType::kF32, plan.columns(input), "norm output");
  const int64_t columns = plan.columns(input);
  if (pieces.first < 0 || pieces.count < 1 || pieces.width < 1 || pieces.count > columns ||
      pieces.first > columns - pieces.count * pieces.width) {
    fail(ErrorKind::kWeight, "a norm of ", pieces.count, " x ", pieces.width, " columns from ", pieces.first,
         " meets a buffer of ", columns);
  }
  plan.add_op(std::make_unique<Norm>(weights, pieces, input, output));
}

}  // namespace arrowmind::runtime
