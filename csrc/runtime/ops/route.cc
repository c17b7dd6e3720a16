#include "runtime/ops/route.h"

#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Route : public Op {
 public:
  Route(const route::Params& router, int logits, int output)
      : kernel_(route::select()), router_(router), logits_(logits), output_(output) {
    reads = {logits};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(logits_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      route::Params p = router_;
      p.x = in.f32();
      p.x_stride = in.stride;
      p.out = out.f32();
      p.out_stride = out.stride;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::RouteParameters p = {};
    p.x_stride = to.stride(logits_);
    p.out_stride = to.stride(output_);
    p.experts = Lowering::word(router_.experts);
    p.top = Lowering::word(router_.top);
    p.is_sigmoid = router_.score == route::Score::kSigmoid ? 1 : 0;
    p.groups = Lowering::word(router_.groups);
    p.kept = Lowering::word(router_.kept);
    p.sums_two = router_.group_score == route::GroupScore::kTwoLargest ? 1 : 0;
    p.factor = router_.factor;
    p.flags =
        (router_.bias != nullptr ? device::kHasBias : 0u) | (router_.normalised ? device::kNormalise : 0u);
    to.launch(
        "route",
        {Lowering::data(logits_), to.constant(router_.bias, router_.experts * 4), Lowering::data(output_)}, p,
        {});
    return true;
  }

 private:
  const route::Row& kernel_;
  route::Params router_;
  int logits_;
  int output_;
};

class RowScale : public Op {
 public:
  RowScale(int64_t width, int route, int buffer) : width_(width), route_(route), buffer_(buffer) {
    reads = {route, buffer};
    writes = {buffer};
  }

  void run(const Execution& e) const override {
    const Slot& route = e.slots[static_cast<size_t>(route_)];
    const Slot& out = e.slots[static_cast<size_t>(buffer_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        const float scale = route.f32()[row * route.stride + 1];
        float* y = out.f32() + row * out.stride;
        for (int64_t k = 0; k < width_; ++k) y[k] *= scale;
      }
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  bool lower(Lowering& to) const override {
    device::ColumnsParameters p = {};
    p.width = Lowering::word(width_);
    p.in_stride = to.stride(route_);
    p.out_stride = to.stride(buffer_);
    to.launch("scale_rows", {Lowering::data(route_), Lowering::data(buffer_)}, p, {.x = width_});
    return true;
  }

 private:
  int64_t width_;
  int route_;
  int buffer_;
};

}  // namespace

void add_route(Plan& plan, int logits, int output, const route::Params& router) {
  plan.expect(logits, BufferType::kF32, -1, "router logits");
  route::Params params = router;
  params.experts = plan.columns(logits);
  route::check(params);
  plan.expect(output, BufferType::kF32, 2 * params.top, "router output");
  plan.add_op(std::make_unique<Route>(params, logits, output));
}

void add_row_scale(Plan& plan, int route, int buffer) {
  plan.expect(route, BufferType::kF32, 2, "row scale");
  plan.expect(buffer, BufferType::kF32, -1, "scaled rows");
  plan.add_op(std::make_unique<RowScale>(plan.columns(buffer), route, buffer));
}

}  // namespace arrowmind::runtime
