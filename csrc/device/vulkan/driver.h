#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/vulkan/functions.h"

namespace arrowmind::vulkan {

// Of one device of the driver, what does not change.
struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties = {};
  VkPhysicalDeviceMemoryProperties memory = {};
  std::string driver;  // name and version
  uint32_t queue_family = 0, queues = 0, timestamp_bits = 0;
  bool has_timeline_in_core = false;  // else by an extension
  bool tells_budget = false;          // VK_EXT_memory_budget
  bool shares_host_memory = false;
  int64_t total_bytes = 0;       // of the largest heap of its own
  int64_t most_place_bytes = 0;  // that a shader reads at a binding, in memory that can be had at once

  const VkPhysicalDeviceLimits& limits() const { return properties.limits; }
};

// The library, opened once for the process, and the devices it knows that can be used.
struct Driver {
  int32_t probe = 0;  // ArrowmindProbe; anything but ARROWMIND_USABLE: `words` say why
  std::string words;
  InstanceFunctions vk;
  std::vector<PhysicalDevice> devices;
};

// Safe from several threads. Never fails: what went wrong stands in it. A driver that could not be used is
// looked for again with the next call.
const Driver& driver();

}  // namespace arrowmind::vulkan
