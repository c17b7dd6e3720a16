#include "device/graph.h"

#include <cstring>

#include "base/error.h"

namespace arrowmind::device {

void LaunchList::add(uint64_t kernel, const Grid& grid, std::span<const Slice> slices,
                     std::span<const std::byte> parameters) {
  const ArrowmindLaunch launch = launch_of(*device_, kernel, grid, slices.size(), parameters.size());
  launches_.push_back({launch, places_.size(), parameters_.size()});
  for (const Slice& slice : slices) places_.push_back(place_in(*device_, slice, 0, "launch"));
  parameters_.insert(parameters_.end(), parameters.begin(), parameters.end());
}

std::vector<ArrowmindLaunch> LaunchList::launches() const {
  std::vector<ArrowmindLaunch> launches;
  launches.reserve(launches_.size());
  for (const Item& item : launches_) {
    ArrowmindLaunch& launch = launches.emplace_back(item.launch);
    launch.places = places_.data() + item.first_place;
    launch.parameters = parameters_.data() + item.first_byte;
  }
  return launches;
}

bool LaunchList::operator==(const LaunchList& other) const {
  const auto same = [](const auto& one, const auto& another) {
    return one.size() == another.size() &&
           (one.empty() || std::memcmp(one.data(), another.data(), one.size() * sizeof one[0]) == 0);
  };
  return same(launches_, other.launches_) && same(places_, other.places_) &&
         same(parameters_, other.parameters_);
}

Graph Device::graph(const LaunchList& list) {
  const Action action = {"make a graph"};
  if (list.device().get() != this || list.size() == 0) {
    fail(ErrorKind::kInvalidArgument, "[", name_, "] make a graph of ", list.size(), " launches of ",
         list.device() == nullptr ? "no device" : list.device()->name());
  }
  if (!has_graphs()) refuse(Failure::kNotSupported, action, "the back end has none");
  const std::vector<ArrowmindLaunch> launches = list.launches();
  ArrowmindGraph* graph = nullptr;
  call(action, [&](ArrowmindWords* words) {
    return backend_.make_graph(handle_, launches.data(), static_cast<uint32_t>(launches.size()), &graph,
                               words);
  });
  if (graph == nullptr) refuse(Failure::kFailed, action, "the back end gave none");
  return {shared_from_this(), graph, static_cast<int64_t>(launches.size())};
}

void Stream::run(const Graph& graph) {
  expect_own(graph.device().get(), "a graph");
  device()->call({"run a graph"}, [&](ArrowmindWords* words) {
    return device()->backend().run_graph(handle(), graph.handle(), words);
  });
}

}  // namespace arrowmind::device
