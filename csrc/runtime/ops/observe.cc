#include "runtime/ops/observe.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace arrowmind::runtime {
namespace {

class Observe : public Op {
 public:
  Observe(const ColumnStatistics& statistics, int64_t width, int input)
      : statistics_(statistics), width_(width), input_(input) {
    reads = {input};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const std::lock_guard<std::mutex> lock(mutex_);
    for (int64_t row = 0; row < e.batch.tokens(); ++row) {
      const float* x = in.f32() + row * in.stride;
      for (int64_t k = 0; k < width_; ++k) {
        const double value = x[k];
        statistics_.magnitude[k] = std::max(statistics_.magnitude[k], std::abs(value));
        statistics_.squares[k] += value * value;
      }
    }
  }

  std::vector<std::string> kernels() const override { return {}; }

 private:
  ColumnStatistics statistics_;
  int64_t width_;
  int input_;
  mutable std::mutex mutex_;
};

}  // namespace

void add_observe(Plan& plan, int input, const ColumnStatistics& statistics) {
  plan.expect(input, BufferType::kF32, -1, "observe input");
  plan.add_op(std::make_unique<Observe>(statistics, plan.columns(input), input));
}

}  // namespace arrowmind::runtime
