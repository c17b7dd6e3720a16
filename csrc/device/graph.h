#pragma once

// Launches that a device runs as one: what repeats is told to the driver once.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "device/resources.h"

namespace arrowmind::device {

// Launches in order that become a graph. Whose memory they name is checked as at a launch; it is no longer
// known when the graph runs.
class LaunchList {
 public:
  explicit LaunchList(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  void add(uint64_t kernel, const Grid& grid, std::span<const Slice> slices,
           std::span<const std::byte> parameters);
  const std::shared_ptr<Device>& device() const { return device_; }
  size_t size() const { return launches_.size(); }
  // As the back end takes them; valid until something is added.
  std::vector<ArrowmindLaunch> launches() const;
  // Whether they are the same to the byte.
  bool operator==(const LaunchList& other) const;

 private:
  struct Item {
    ArrowmindLaunch launch;  // without places and parameters
    size_t first_place, first_byte;
  };
  std::shared_ptr<Device> device_;
  std::vector<Item> launches_;
  std::vector<ArrowmindPlace> places_;
  std::vector<std::byte> parameters_;
};

inline void release_graph(Device& device, ArrowmindGraph* graph) {
  device.backend().destroy_graph(graph);
}

// Launches that were made ready; Stream::run() runs them.
class Graph : public Resource<ArrowmindGraph*, release_graph> {
 public:
  Graph(std::shared_ptr<Device> device, ArrowmindGraph* graph, int64_t launches)
      : Resource(std::move(device), graph), launches_(launches) {}
  int64_t launches() const { return launches_; }

 private:
  int64_t launches_;
};

}  // namespace arrowmind::device
