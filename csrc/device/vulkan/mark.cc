#include "device/vulkan/refusal.h"
#include "device/vulkan/stream.h"

namespace arrowmind::vulkan {

Timeline::Timeline(Device& device) : device_(device) {
  VkSemaphoreTypeCreateInfo type = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  info.pNext = &type;
  device.check(device.vk().vkCreateSemaphore(device.handle(), &info, nullptr, &semaphore_),
               "vkCreateSemaphore");
}

Timeline::~Timeline() {
  device_.vk().vkDestroySemaphore(device_.handle(), semaphore_, nullptr);
}

uint64_t Timeline::reached() const {
  uint64_t value = 0;
  device_.check(device_.vk().vkGetSemaphoreCounterValue(device_.handle(), semaphore_, &value),
                "vkGetSemaphoreCounterValue");
  return value;
}

void Timeline::wait(uint64_t value) const {
  VkSemaphoreWaitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &value;
  device_.check(device_.vk().vkWaitSemaphores(device_.handle(), &info, UINT64_MAX), "vkWaitSemaphores");
}

Mark::Mark(Device& device) : device_(device) {
  if (device.physical().timestamp_bits == 0) return;
  VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = 1;
  device.check(device.vk().vkCreateQueryPool(device.handle(), &info, nullptr, &time), "vkCreateQueryPool");
}

Mark::~Mark() {
  device_.vk().vkDestroyQueryPool(device_.handle(), time, nullptr);
}

bool Mark::is_reached() const {
  if (timeline->reached() < value) return false;
  if (const std::shared_ptr<Stream> held = stream.lock()) held->retire();
  return true;
}

uint64_t Mark::ticks() const {
  if (time == VK_NULL_HANDLE) refuse(ARROWMIND_NOT_SUPPORTED, "the queues of the device have no clock");
  uint64_t ticks = 0;
  device_.check(device_.vk().vkGetQueryPoolResults(device_.handle(), time, 0, 1, sizeof ticks, &ticks,
                                                   sizeof ticks, VK_QUERY_RESULT_64_BIT),
                "vkGetQueryPoolResults");
  return ticks;
}

int64_t Mark::nanoseconds_until(const Mark& later) const {
  const uint32_t bits = device_.physical().timestamp_bits;
  const uint64_t mask = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  const double period = static_cast<double>(device_.physical().limits().timestampPeriod);
  const auto nanoseconds = [period](uint64_t ticks) {
    return static_cast<int64_t>(static_cast<double>(ticks) * period);
  };
  const uint64_t between = (later.ticks() - ticks()) & mask;  // the clock may have begun anew
  return between <= mask / 2 ? nanoseconds(between) : -nanoseconds(mask - between + 1);
}

}  // namespace arrowmind::vulkan
