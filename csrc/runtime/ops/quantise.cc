#include "runtime/ops/quantise.h"

#include "base/error.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Quantise : public Op {
 public:
  Quantise(quantise::Code code, int64_t width, int64_t group, int input, int output, const float* multiplier)
      : kernel_(quantise::select(code)),
        limit_(qmatmul::activation_limit(width)),
        group_(group),
        width_(width),
        multiplier_(multiplier),
        input_(input),
        output_(output) {
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      quantise::Params p;
      p.x = in.f32();
      p.x_stride = in.stride;
      p.width = width_;
      p.multiplier = multiplier_;
      p.begin = begin;
      p.end = end;
      p.out = {.codes = out.data,
               .stride = out.stride,
               .scale = out.scale,
               .sum = out.sum,
               .zero = out.zero,
               .block = grid::block_of(group_),
               .part = grid::part_of(group_),
               .limit = limit_};
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    const bool in_blocks = kernel_.code == quantise::Code::kI8Block;
    device::QuantiseParameters p = {};
    p.x_stride = to.stride(input_);
    p.stride = to.stride(output_);
    p.width = Lowering::word(width_);
    p.flags = multiplier_ != nullptr ? device::kHasMultiplier : 0u;
    p.block = Lowering::word(grid::block_of(group_));
    p.part = Lowering::word(grid::part_of(group_));
    p.blocks = p.stride / p.block;
    p.parts = p.stride / p.part;
    const RowPlaces out = to.rows(output_);
    to.launch(quantise_kernel(out.type),
              {Lowering::data(input_), to.constant(multiplier_, width_ * 4), out.data, out.scale, out.sum,
               out.zero},
              p, {.x = in_blocks ? p.blocks : 1});
    return true;
  }

 private:
  const quantise::Row& kernel_;
  int32_t limit_;
  int64_t group_;
  int64_t width_;
  const float* multiplier_;
  int input_;
  int output_;
};

}  // namespace

void add_quantise(Plan& plan, int input, int output, const float* multiplier) {
  plan.expect(input, BufferType::kF32, -1, "quantise input");
  const BufferType type = plan.type(output);
  if (type == BufferType::kF32)
    fail(ErrorKind::kInvalidArgument, "quantise output: buffer ", output, " is float32");
  plan.expect(output, type, plan.columns(input), "quantise output");
  const quantise::Code code = type == BufferType::kI8    ? quantise::Code::kI8
                              : type == BufferType::kI16 ? quantise::Code::kI16
                                                         : quantise::Code::kI8Block;
  plan.add_op(
      std::make_unique<Quantise>(code, plan.columns(input), plan.group(output), input, output, multiplier));
}

}  // namespace arrowmind::runtime
