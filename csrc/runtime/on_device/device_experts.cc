// Experts of a forward on a device: the host reads the routes, and sends each expert its rows.

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {

// Lists of each expert's rows, where they come from and then where they go, in the order of tokens.
std::vector<DevicePlan::Sent> DevicePlan::read_route(const Forward& f, const Routed& routed) const {
  const int64_t columns = plan_.stride(routed.route), count = f.rows * columns;
  std::vector<float>& route = f.context.route;
  route.resize(static_cast<size_t>(count));
  f.context.stream.copy_out(route.data(), slice(f, Lowering::data(routed.route), {}), 4 * count);
  f.context.stream.synchronise();
  std::vector<Sent> sent(static_cast<size_t>(routed.experts));
  const auto each = [&](const auto& body) {
    for (int64_t row = 0; row < f.rows * routed.top; ++row) {
      const float number = route[static_cast<size_t>(row / routed.top * columns + row % routed.top)];
      if (!(number >= 0.0f && number < static_cast<float>(routed.experts))) {  // a NaN is none either
        fail(ErrorKind::kInvalidArgument, "a row is sent to expert ", number, " of ", routed.experts);
      }
      body(sent[static_cast<size_t>(number)], row);
    }
  };
  each([](Sent& one, int64_t) { ++one.rows; });
  int64_t words = 0;
  for (Sent& one : sent) {
    one.first = words;
    words += 2 * round_up(one.rows, kRowRound);
    one.rows = 0;
  }
  std::vector<int32_t>& lists = f.context.lists;
  lists.assign(static_cast<size_t>(words), 0);
  const auto place = [&](const Sent& one) { return lists.begin() + one.first + one.rows; };
  each([&](Sent& one, int64_t row) {
    *place(one) = static_cast<int32_t>(row / routed.top);
    ++one.rows;
  });
  for (Sent& one : sent) one.first += round_up(std::exchange(one.rows, 0), kRowRound);
  each([&](Sent& one, int64_t row) {
    *place(one) = static_cast<int32_t>(row);
    ++one.rows;
  });
  for (Sent& one : sent) one.first -= round_up(one.rows, kRowRound);
  return sent;
}

// The host sorts what the router gave: who is sent where decides what is launched.
void DevicePlan::run_experts(const Forward& f, size_t i) const {
  const Routed& routed = lowering_.steps()[i].routed;
  const std::vector<Sent> sent_to = read_route(f, routed);
  const int64_t bytes = static_cast<int64_t>(f.context.lists.size()) * 4;
  const device::CachingAllocator::Block lists = memory_->allocate(bytes, f.context.stream);
  f.context.stream.copy_in({&lists.buffer(), 0}, f.context.lists.data(), bytes);
  for (int64_t expert = 0; expert < routed.experts; ++expert) {
    const Sent& sent = sent_to[static_cast<size_t>(expert)];
    if (sent.rows == 0) continue;
    Forward part = f;
    part.rows = sent.rows;
    part.from = {&lists.buffer(), 4 * sent.first};
    part.to = {&lists.buffer(), 4 * (sent.first + round_up(sent.rows, kRowRound))};
    for (int64_t k = 0; k < routed.each; ++k) {
      const size_t at = i + 1 + static_cast<size_t>(expert * routed.each + k);
      launch(part, lowering_.steps()[at], launches_[at], false);
    }
  }
}

// Steps that number `i` stands for: itself, and those of its experts.
size_t DevicePlan::span_of(size_t i) const {
  const Routed& routed = lowering_.steps()[i].routed;
  return 1 + static_cast<size_t>(routed.experts * routed.each);
}

}  // namespace arrowmind::runtime
