// Experts of a layer that stays with the CPU which lie on the device one by one: it computes these meanwhile.

#include <algorithm>

#include "base/checked.h"
#include "runtime/experts.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {

class DevicePlan::SingleExperts final : public ExpertsElsewhere {
 public:
  SingleExperts(const DevicePlan& plan, const Forward& forward, size_t step)
      : plan_(plan),
        f_(forward),
        step_(step),
        layer_(plan.single_layers_.at(step)),
        hidden_(plan.plan_.columns(plan.lowering_.steps()[step].writes.front())) {}
  ~SingleExperts() override { plan_.cache_->give_back(layer_, ids_, buffers_); }

  size_t begin(const SortedRows& rows, std::span<int32_t> active) override {
    rows_ = rows;
    ids_.assign(active.begin(), active.end());
    plan_.cache_->take(layer_, ids_, buffers_);
    list();
    if (!f_.context.lists.empty()) launch();
    size_t left = 0;
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (buffers_[i] == nullptr) active[left++] = ids_[i];
    }
    pass_over();
    return left;
  }

  void acquired(std::span<const int32_t> ids) override { plan_.cache_->offer(layer_, ids); }

  void finish(float* results) override {
    const device::Slice there = plan_.slice(f_, routed().results, {});
    bool is_any = false;
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (buffers_[i] == nullptr) continue;
      const int64_t place = first(i) * hidden_;
      f_.context.stream.copy_out(results + place, {there.buffer, there.offset + 4 * place},
                                 4 * count(i) * hidden_);
      is_any = true;
    }
    if (is_any) f_.context.stream.synchronise();
  }

 private:
  const Routed& routed() const { return plan_.lowering_.steps()[step_].routed; }
  int64_t first(size_t i) const { return rows_.starts[ids_[i]]; }
  int64_t count(size_t i) const { return rows_.starts[ids_[i] + 1] - rows_.starts[ids_[i]]; }

  // Residency is told of experts that it need not bring.
  void pass_over() const {
    if (routed().source == nullptr) return;
    std::vector<int32_t> there;
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (buffers_[i] != nullptr) there.push_back(ids_[i]);
    }
    if (!there.empty()) routed().source->pass_over(there, there.size() == ids_.size());
  }

  // Of each expert that is there where its rows come from, and then where they go.
  void list() {
    std::vector<int32_t>& lists = f_.context.lists;
    lists.clear();
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (buffers_[i] == nullptr) continue;
      const auto padding = static_cast<size_t>(round_up(count(i), kRowRound));
      const size_t begin = lists.size();
      lists.resize(begin + 2 * padding, 0);
      for (int64_t row = 0; row < count(i); ++row) {
        const int64_t place = first(i) + row;
        const size_t at = begin + static_cast<size_t>(row);
        lists[at] = rows_.order[place] / static_cast<int32_t>(rows_.top);
        lists[at + padding] = static_cast<int32_t>(place);
      }
    }
  }

  void launch() {
    const std::vector<int32_t>& lists = f_.context.lists;
    const int64_t bytes = static_cast<int64_t>(lists.size()) * 4;
    memory_.emplace(plan_.memory_->allocate(bytes, f_.context.stream));
    f_.context.stream.copy_in({&memory_->buffer(), 0}, lists.data(), bytes);
    int64_t offset = 0;
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (buffers_[i] == nullptr) continue;
      const int64_t size = 4 * round_up(count(i), kRowRound);
      Forward part = f_;
      part.rows = count(i);
      part.from = {&memory_->buffer(), offset};
      part.to = {&memory_->buffer(), offset + size};
      offset += 2 * size;
      launch_one(part, ids_[i], *buffers_[i]);
    }
  }

  void launch_one(const Forward& part, int32_t expert, const device::Buffer& weights) const {
    for (int64_t k = 0; k < routed().each; ++k) {
      const size_t at = step_ + 1 + static_cast<size_t>(expert * routed().each + k);
      const Step& step = plan_.lowering_.steps()[at];
      Launch launch = plan_.launches_[at];
      for (size_t i = 0; i < step.places.size(); ++i) {
        if (step.places[i].kind == Place::Kind::kConstant) launch.constants[i].buffer = &weights;
      }
      plan_.launch(part, step, launch, false);
    }
  }

  const DevicePlan& plan_;
  const Forward& f_;
  const size_t step_;
  const int64_t layer_;
  const int64_t hidden_;
  SortedRows rows_;
  std::vector<int32_t> ids_;
  std::vector<const device::Buffer*> buffers_;
  std::optional<device::CachingAllocator::Block> memory_;  // of the lists
};

std::unique_ptr<ExpertsElsewhere> DevicePlan::single_experts(const Forward& f, size_t step) const {
  if (cache_ == nullptr || lowering_.steps()[step].routed.experts == 0) return nullptr;
  return std::make_unique<SingleExperts>(*this, f, step);
}

// Where a constant lies among what is copied of an expert.
int64_t DevicePlan::add_part(std::vector<Part>& parts, const Constant& constant) const {
  const auto known = std::find_if(parts.begin(), parts.end(), [&](const Part& part) {
    return part.data == constant.data && part.bytes == constant.bytes;
  });
  if (known != parts.end()) return known->offset;
  const int64_t alignment = std::max<int64_t>(256, device_->info().alignment_bytes);
  const int64_t offset =
      parts.empty() ? 0 : round_up(parts.back().offset + round_up(parts.back().bytes, 64), alignment);
  parts.push_back({constant.data, constant.bytes, offset});
  return offset;
}

}  // namespace arrowmind::runtime
