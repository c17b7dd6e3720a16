#include "runtime/ops/add.h"

#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Sum : public Op {
 public:
  Sum(int64_t width, int input, int output) : width_(width), input_(input), output_(output) {
    reads = {input, output};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        const float* x = in.f32() + row * in.stride;
        float* y = out.f32() + row * out.stride;
        for (int64_t k = 0; k < width_; ++k) y[k] += x[k];
      }
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  bool lower(Lowering& to) const override {
    device::ColumnsParameters p = {};
    p.width = Lowering::word(width_);
    p.in_stride = to.stride(input_);
    p.out_stride = to.stride(output_);
    to.launch("sum", {Lowering::data(input_), Lowering::data(output_)}, p, {.x = width_});
    return true;
  }

 private:
  int64_t width_;
  int input_;
  int output_;
};

}  // namespace

void add_sum(Plan& plan, int input, int output) {
  plan.expect(input, BufferType::kF32, -1, "sum input");
  plan.expect(output, BufferType::kF32, plan.columns(input), "sum output");
  plan.add_op(std::make_unique<Sum>(plan.columns(input), input, output));
}

}  // namespace arrowmind::runtime
