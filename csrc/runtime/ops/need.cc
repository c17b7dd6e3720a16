#include "runtime/ops/need.h"

#include <utility>

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

 private:
  std::shared_ptr<residency::Residency> residency_;
  NeedOptions options_;
};

}  // namespace

void add_need(Plan& plan, std::shared_ptr<residency::Residency> residency, NeedOptions options) {
  plan.add_op(std::make_unique<Need>(std::move(residency), std::move(options)));
}

}  // namespace arrowmind::runtime
