#include "runtime/ops/activate.h"

#include "base/error.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 16;

class Activate : public Op {
 public:
  Activate(const activate::Params& params, bool gated, int input, int output)
      : kernel_(activate::select()), params_(params), gated_(gated), input_(input), output_(output) {
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      activate::Params p = params_;
      p.x = in.f32();
      p.up = gated_ ? p.x + p.width : nullptr;
      p.stride = in.stride;
      p.out = out.f32();
      p.out_stride = out.stride;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::ActivateParameters p = {};
    p.width = Lowering::word(params_.width);
    p.x_stride = to.stride(input_);
    p.out_stride = to.stride(output_);
    p.kind = static_cast<uint32_t>(params_.kind);  // device::Activation has the same order
    p.cap = params_.cap;
    p.flags = gated_ ? device::kGated : 0u;
    to.launch("activate", {Lowering::data(input_), Lowering::data(output_)}, p, {.x = params_.width});
    return true;
  }

 private:
  const activate::Row& kernel_;
  activate::Params params_;
  bool gated_;
  int input_;
  int output_;
};

}  // namespace

void add_activate(Plan& plan, activate::Kind kind, float cap, int input, int output) {
  plan.expect(output, BufferType::kF32, -1, "activation output");
  const int64_t width = plan.columns(output);
  const bool gated = plan.columns(input) != width;
  plan.expect(input, BufferType::kF32, gated ? 2 * width : width, "activation input");
  if (kind == activate::Kind::kCap && !(cap > 0)) {
    fail(ErrorKind::kInvalidArgument, "a cap of ", cap, "; caps are above 0");
  }
  activate::Params params;
  params.kind = kind;
  params.cap = cap;
  params.width = width;
  plan.add_op(std::make_unique<Activate>(params, gated, input, output));
}

}  // namespace arrowmind::runtime
