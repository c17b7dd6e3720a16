#include "runtime/ops/route.h"

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
