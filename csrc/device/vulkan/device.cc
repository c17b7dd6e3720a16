#include "device/vulkan/device.h"

#include <algorithm>

#include "device/vulkan/refusal.h"
#include "device/vulkan/stream.h"

namespace arrowmind::vulkan {

Device::Device(const Driver& driver, const PhysicalDevice& physical)
    : instance_vk_(driver.vk), physical_(physical) {
  open(driver);
  find_functions(driver);
  for (uint32_t i = 0; i < physical.queues; ++i) {
    queues_.push_back(std::make_unique<Queue>());
    vk_.vkGetDeviceQueue(handle_, physical.queue_family, i, &queues_.back()->handle);
  }
}

Device::~Device() {
  for (const auto& [name, kernel] : kernels_) vk_.vkDestroyPipeline(handle_, kernel->pipeline, nullptr);
  for (const Layout& layout : layouts_) {
    vk_.vkDestroyPipelineLayout(handle_, layout.pipeline, nullptr);
    vk_.vkDestroyDescriptorSetLayout(handle_, layout.set, nullptr);
  }
  vk_.vkDestroyDevice(handle_, nullptr);
}

void Device::open(const Driver& driver) {
  const std::vector<float> priorities(physical_.queues, 1.0f);
  VkDeviceQueueCreateInfo queues = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queues.queueFamilyIndex = physical_.queue_family;
  queues.queueCount = physical_.queues;
  queues.pQueuePriorities = priorities.data();
  VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
  timeline.timelineSemaphore = VK_TRUE;
  std::vector<const char*> extensions;
  if (!physical_.has_timeline_in_core) extensions.push_back(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME);
  if (physical_.tells_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = &timeline;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queues;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  check(driver.vk.vkCreateDevice(physical_.handle, &info, nullptr, &handle_), "vkCreateDevice");
}

void Device::find_functions(const Driver& driver) {
  const auto get = [&](const char* name) { return driver.vk.vkGetDeviceProcAddr(handle_, name); };
  const auto need = [&](const char* name, bool found) {
    if (found) return;
    if (vk_.vkDestroyDevice != nullptr) vk_.vkDestroyDevice(handle_, nullptr);
    refuse(ARROWMIND_NOT_SUPPORTED, std::string("the driver has no function ") + name);
  };
#define ARROWMIND_FIND(name)                           \
  vk_.name = reinterpret_cast<PFN_##name>(get(#name)); \
  need(#name, vk_.name != nullptr);
#define ARROWMIND_FIND_TIMELINE(name)                                                                 \
  vk_.name = reinterpret_cast<PFN_##name>(get(physical_.has_timeline_in_core ? #name : #name "KHR")); \
  need(#name, vk_.name != nullptr);
  vk_.vkDestroyDevice = reinterpret_cast<PFN_vkDestroyDevice>(get("vkDestroyDevice"));
  ARROWMIND_VULKAN_DEVICE_FUNCTIONS(ARROWMIND_FIND)
  ARROWMIND_VULKAN_TIMELINE_FUNCTIONS(ARROWMIND_FIND_TIMELINE)
#undef ARROWMIND_FIND
#undef ARROWMIND_FIND_TIMELINE
}

void Device::check(VkResult result, const char* what) {
  if (result == VK_ERROR_DEVICE_LOST) lost_.store(true, std::memory_order_release);
  vulkan::check(result, what);
}

void Device::expect_here() const {
  if (is_lost()) refuse(ARROWMIND_LOST, "an earlier call gave VK_ERROR_DEVICE_LOST");
}

Queue& Device::next_queue() {
  return *queues_[next_queue_.fetch_add(1, std::memory_order_relaxed) % queues_.size()];
}

void Device::add(Stream* stream) {
  const std::lock_guard lock(streams_mutex_);
  streams_.push_back(stream);
}

void Device::remove(Stream* stream) noexcept {
  const std::lock_guard lock(streams_mutex_);
  std::erase(streams_, stream);
}

void Device::finish_streams() noexcept {
  const std::lock_guard lock(streams_mutex_);
  for (Stream* stream : streams_) stream->finish();
}

void Device::wait_idle() noexcept {
  std::vector<std::unique_lock<std::mutex>> locks;
  for (const auto& queue : queues_) locks.emplace_back(queue->mutex);
  vk_.vkDeviceWaitIdle(handle_);
}

}  // namespace arrowmind::vulkan
