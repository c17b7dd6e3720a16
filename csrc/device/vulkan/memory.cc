// Memory of a device, and of the host that its copies reach.

#include <algorithm>
#include <iterator>
#include <string>

#include "device/vulkan/device.h"
#include "device/vulkan/refusal.h"

namespace arrowmind::vulkan {
namespace {

constexpr VkBufferUsageFlags kUsage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
constexpr VkMemoryPropertyFlags kReachable =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

}  // namespace

void Device::memory_info(int64_t* free_bytes, int64_t* total_bytes) const {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 memory = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  if (physical_.tells_budget) memory.pNext = &budget;
  instance_vk_.vkGetPhysicalDeviceMemoryProperties2(physical_.handle, &memory);
  *total_bytes = physical_.total_bytes;
  *free_bytes = physical_.total_bytes - allocated_bytes_.load();
  if (physical_.tells_budget) {
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
      const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
      const bool local = (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
      if (!local || static_cast<int64_t>(heap.size) != physical_.total_bytes) continue;
      *free_bytes = static_cast<int64_t>(budget.heapBudget[i]) - static_cast<int64_t>(budget.heapUsage[i]);
    }
  }
  *free_bytes = std::clamp<int64_t>(*free_bytes, 0, *total_bytes);
}

// The first type that has all that is wanted, and as much of what would be nice as can be had.
uint32_t Device::memory_type(uint32_t allowed, Use use) const {
  const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  std::vector<VkMemoryPropertyFlags> wishes;
  if (use == Use::kDevice) {
    if (physical_.shares_host_memory) wishes = {local | kReachable | cached, local | kReachable};
    wishes.push_back(local);
    wishes.push_back(0);
  } else if (use == Use::kReadback) {
    wishes = {kReachable | cached, kReachable};
  } else {
    wishes = {kReachable};
  }
  for (const VkMemoryPropertyFlags wish : wishes) {
    for (uint32_t i = 0; i < physical_.memory.memoryTypeCount; ++i) {
      const VkMemoryPropertyFlags has = physical_.memory.memoryTypes[i].propertyFlags;
      if ((allowed >> i & 1) != 0 && (has & wish) == wish) return i;
    }
  }
  refuse(ARROWMIND_NOT_SUPPORTED, "the device has no memory for buffers");
}

Memory* Device::allocate(int64_t bytes, Use use) {
  expect_here();
  // Some drivers promise more than there is.
  if (bytes > physical_.total_bytes) {
    refuse(ARROWMIND_OUT_OF_MEMORY,
           "the device has " + std::to_string(physical_.total_bytes) + " bytes in all");
  }
  if (allocations_.load() >= physical_.limits().maxMemoryAllocationCount) {
    refuse(ARROWMIND_OUT_OF_MEMORY, "the driver allows " +
                                        std::to_string(physical_.limits().maxMemoryAllocationCount) +
                                        " pieces of memory, all of which are taken");
  }
  struct Guard {
    Device& device;
    Memory* made;
    ~Guard() {
      if (made != nullptr) device.release(made);
    }
  } guard{*this, new Memory};
  Memory& made = *guard.made;
  allocations_ += 1;
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = (static_cast<VkDeviceSize>(bytes) + 3) / 4 * 4;  // shaders read words
  info.usage = kUsage;
  check(vk_.vkCreateBuffer(handle_, &info, nullptr, &made.buffer), "vkCreateBuffer");
  VkMemoryRequirements needs = {};
  vk_.vkGetBufferMemoryRequirements(handle_, made.buffer, &needs);
  VkMemoryAllocateInfo allocation = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocation.allocationSize = needs.size;
  allocation.memoryTypeIndex = memory_type(needs.memoryTypeBits, use);
  check(vk_.vkAllocateMemory(handle_, &allocation, nullptr, &made.memory), "vkAllocateMemory");
  made.bytes = static_cast<int64_t>(info.size);
  made.taken = static_cast<int64_t>(needs.size);
  allocated_bytes_ += made.taken;
  check(vk_.vkBindBufferMemory(handle_, made.buffer, made.memory, 0), "vkBindBufferMemory");
  const VkMemoryPropertyFlags has = physical_.memory.memoryTypes[allocation.memoryTypeIndex].propertyFlags;
  if ((has & kReachable) == kReachable) {
    void* address = nullptr;
    check(vk_.vkMapMemory(handle_, made.memory, 0, VK_WHOLE_SIZE, 0, &address), "vkMapMemory");
    made.mapped = static_cast<char*>(address);
  }
  guard.made = nullptr;
  return &made;
}

void Device::release(Memory* memory) noexcept {
  vk_.vkDestroyBuffer(handle_, memory->buffer, nullptr);
  vk_.vkFreeMemory(handle_, memory->memory, nullptr);
  allocated_bytes_ -= memory->taken;
  allocations_ -= 1;
  delete memory;
}

void* Device::allocate_pinned(int64_t bytes) {
  Memory* memory = allocate(bytes, Use::kReadback);
  const std::lock_guard lock(pinned_mutex_);
  pinned_[memory->mapped] = memory;
  return memory->mapped;
}

void Device::release_pinned(void* address) noexcept {
  finish_streams();
  Memory* memory = nullptr;
  {
    const std::lock_guard lock(pinned_mutex_);
    const auto found = pinned_.find(static_cast<char*>(address));
    if (found == pinned_.end()) return;
    memory = found->second;
    pinned_.erase(found);
  }
  release(memory);
}

const Memory* Device::pinned(const void* address, int64_t bytes, int64_t* offset) {
  const std::lock_guard lock(pinned_mutex_);
  const auto* at = static_cast<const char*>(address);
  const auto after = pinned_.upper_bound(at);
  if (after == pinned_.begin()) return nullptr;
  const Memory* memory = std::prev(after)->second;
  *offset = at - memory->mapped;
  return *offset + bytes <= memory->bytes ? memory : nullptr;
}

}  // namespace arrowmind::vulkan
