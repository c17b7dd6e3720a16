// Launches of a stream: places are bound, parameters pushed, a dispatch recorded.

#include <array>
#include <string>

#include "device/vulkan/refusal.h"
#include "device/vulkan/stream.h"

namespace arrowmind::vulkan {

VkDescriptorSet Stream::bind(Batch& batch, const Kernel& kernel, const ArrowmindPlace* places) {
  const VkPhysicalDeviceLimits& limits = device_.physical().limits();
  std::array<VkDescriptorBufferInfo, kMostPlaces> buffers = {};
  std::array<VkWriteDescriptorSet, kMostPlaces> writes = {};
  for (uint32_t i = 0; i < kernel.shader->places; ++i) {
    const auto* memory = reinterpret_cast<const Memory*>(places[i].memory);
    const int64_t rest = memory->bytes - places[i].offset;
    if (rest <= 0 || places[i].offset % static_cast<int64_t>(limits.minStorageBufferOffsetAlignment) != 0) {
      refuse(ARROWMIND_LAUNCH_FAILED,
             "place " + std::to_string(i) + " begins at " + std::to_string(places[i].offset) + " of " +
                 std::to_string(memory->bytes) + " bytes; multiples of " +
                 std::to_string(limits.minStorageBufferOffsetAlignment) + " can be bound");
    }
    // How much of it a kernel reads is not known here. What is beyond a range reads as anything: better none.
    if (rest > static_cast<int64_t>(limits.maxStorageBufferRange)) {
      refuse(ARROWMIND_NOT_SUPPORTED, "place " + std::to_string(i) + " has " + std::to_string(rest) +
                                          " bytes, and the device binds " +
                                          std::to_string(limits.maxStorageBufferRange) + " at most");
    }
    buffers[i] = {memory->buffer, static_cast<VkDeviceSize>(places[i].offset),
                  static_cast<VkDeviceSize>(rest)};
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  VkDescriptorSetAllocateInfo info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorPool = batch.descriptors;
  info.descriptorSetCount = 1;
  info.pSetLayouts = &kernel.layout.set;
  VkDescriptorSet set = VK_NULL_HANDLE;
  device_.check(device_.vk().vkAllocateDescriptorSets(device_.handle(), &info, &set),
                "vkAllocateDescriptorSets");
  for (VkWriteDescriptorSet& write : writes) write.dstSet = set;
  device_.vk().vkUpdateDescriptorSets(device_.handle(), kernel.shader->places, writes.data(), 0, nullptr);
  return set;
}

void Stream::launch(const ArrowmindLaunch& launch) {
  const auto& kernel = *reinterpret_cast<const Kernel*>(launch.kernel);
  const Shader& shader = *kernel.shader;
  if (launch.place_count != shader.places || launch.parameter_bytes != shader.parameter_bytes) {
    refuse(ARROWMIND_LAUNCH_FAILED, "another number of places or bytes of parameters");
  }
  if (launch.group[0] != shader.threads || launch.group[1] != 1 || launch.group[2] != 1) {
    refuse(ARROWMIND_LAUNCH_FAILED, "its groups have " + std::to_string(shader.threads) + " threads");
  }
  for (int i = 0; i < 3; ++i) {
    const uint32_t most = device_.physical().limits().maxComputeWorkGroupCount[i];
    if (launch.grid[i] > most) {
      refuse(ARROWMIND_LAUNCH_FAILED, std::to_string(launch.grid[i]) + " groups in direction " +
                                          std::to_string(i) + ", and the device takes " +
                                          std::to_string(most));
    }
  }
  const std::lock_guard lock(mutex_);
  Batch& batch = open();
  const VkDescriptorSet set = bind(batch, kernel, launch.places);
  order(batch);
  const DeviceFunctions& vk = device_.vk();
  vk.vkCmdBindPipeline(batch.commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline);
  vk.vkCmdBindDescriptorSets(batch.commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout.pipeline, 0, 1,
                             &set, 0, nullptr);
  vk.vkCmdPushConstants(batch.commands, kernel.layout.pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                        launch.parameter_bytes, launch.parameters);
  vk.vkCmdDispatch(batch.commands, launch.grid[0], launch.grid[1], launch.grid[2]);
  if (++batch.launches == kMostLaunches) submit();
}

}  // namespace arrowmind::vulkan
