#include "runtime/ops/need.h"

#include <utility>

#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

class Need : public Op {
 public:
  Need(std::shared_ptr<residency::Residency> residency, NeedOptions options)
      : residency_(std::move(residency)), options_(std::move(options)) {}

  void run(const Execution& e) const override {
    e.lease.change(residency_, options_.blocks);
    if (!options_.ahead.empty()) residency_->prefetch(options_.ahead);
  }

  std::vector<std::string> kernels() const override { return {}; }

  // What is on a device needs nothing here once it has been copied.
  bool lower(Lowering& to) const override {
    if (!options_.blocks.empty()) to.need(residency_, options_.blocks, options_.ahead);
    return true;
  }

 private:
  std::shared_ptr<residency::Residency> residency_;
  NeedOptions options_;
};

}  // namespace

void add_need(Plan& plan, std::shared_ptr<residency::Residency> residency, NeedOptions options) {
  plan.add_op(std::make_unique<Need>(std::move(residency), std::move(options)));
}

}  // namespace arrowmind::runtime
