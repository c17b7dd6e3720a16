#include "runtime/ops/border.h"

#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

class Border : public Op {
 public:
  void run(const Execution&) const override {}
  std::vector<std::string> kernels() const override { return {}; }

  bool lower(Lowering& to) const override {
    to.border();
    return true;
  }
};

}  // namespace

void add_border(Plan& plan) {
  plan.add_op(std::make_unique<Border>());
}

}  // namespace arrowmind::runtime
