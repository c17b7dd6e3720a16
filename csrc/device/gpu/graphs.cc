// Graphs of the back end of CUDA and HIP: a chain of launches, put together node by node. Streams are not
// captured: while one is, other threads of the process, torch's among them, may not wait for the device.
#include "device/gpu/calls.h"

#include <algorithm>
#include <new>

namespace arrowmind::device::gpu {
namespace {

constexpr const char* kNone = "the driver has no graphs";

// One launch behind `*last`, which it becomes.
int add(const Driver& driver, const ArrowmindLaunch& launch, DriverLaunch& what, void* graph, void** last) {
  KernelNode node = {};
  node.function = what.function;
  std::copy_n(what.grid, 3, node.grid);
  node.group[0] = launch.group[0];
  node.group[1] = node.group[2] = 1;
  node.shared_bytes = launch.shared_bytes;
  node.arguments = what.arguments.data();
  void* made = nullptr;
  const int failure = driver.add_node(&made, graph, last, *last == nullptr ? 0 : 1, &node);
  *last = made;
  return failure;
}

}  // namespace

int32_t make_graph(ArrowmindDevice* device, const ArrowmindLaunch* launches, uint32_t count,
                   ArrowmindGraph** graph, ArrowmindWords* words) {
  if (!has_graphs(*device->driver)) return say(words, ARROWMIND_NOT_SUPPORTED, kNone);
  auto* made = new (std::nothrow) ArrowmindGraph{.device = device, .ready = nullptr};
  if (made == nullptr) return ARROWMIND_OUT_OF_MEMORY;
  const char* refusal = nullptr;
  void* parts = nullptr;
  const int32_t status = ask(device, words, [&](const Driver& driver) {
    int failure = driver.create_graph(&parts, 0);
    void* last = nullptr;
    for (uint32_t i = 0; i < count && failure == kSuccess && refusal == nullptr; ++i) {
      DriverLaunch what;
      refusal = what.fill(*device, launches[i]);
      if (refusal == nullptr) failure = add(driver, launches[i], what, parts, &last);
    }
    if (failure != kSuccess || refusal != nullptr) return failure;
    return driver.instantiate(&made->ready, parts, 0);
  });
  // What is ready holds all that it needs of the parts.
  if (parts != nullptr) give_back(device, [&](const Driver& driver) { driver.destroy_graph(parts); });
  if (status == ARROWMIND_OK && refusal == nullptr) {
    *graph = made;
    return ARROWMIND_OK;
  }
  delete made;
  return refusal == nullptr ? status : say(words, ARROWMIND_LAUNCH_FAILED, refusal);
}

void destroy_graph(ArrowmindGraph* graph) {
  give_back(graph->device, [&](const Driver& driver) {
    driver.synchronise_context();
    driver.destroy_ready(graph->ready);
  });
  delete graph;
}

int32_t run_graph(ArrowmindStream* stream, ArrowmindGraph* graph, ArrowmindWords* words) {
  const int32_t status = ask(stream->device, words, [&](const Driver& driver) {
    return driver.run_ready(graph->ready, stream->handle);
  });
  return status == ARROWMIND_FAILED ? int32_t{ARROWMIND_LAUNCH_FAILED} : status;
}

}  // namespace arrowmind::device::gpu
