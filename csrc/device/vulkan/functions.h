#pragma once

// The functions of Vulkan that are used, found at run time: nothing is linked.

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

namespace arrowmind::vulkan {

#define ARROWMIND_VULKAN_INSTANCE_FUNCTIONS(F) \
  F(vkCreateDevice)                            \
  F(vkEnumerateDeviceExtensionProperties)      \
  F(vkEnumeratePhysicalDevices)                \
  F(vkGetDeviceProcAddr)                       \
  F(vkGetPhysicalDeviceFeatures2)              \
  F(vkGetPhysicalDeviceMemoryProperties2)      \
  F(vkGetPhysicalDeviceProperties2)            \
  F(vkGetPhysicalDeviceQueueFamilyProperties)

#define ARROWMIND_VULKAN_DEVICE_FUNCTIONS(F) \
  F(vkAllocateCommandBuffers)                \
  F(vkAllocateDescriptorSets)                \
  F(vkAllocateMemory)                        \
  F(vkBeginCommandBuffer)                    \
  F(vkBindBufferMemory)                      \
  F(vkCmdBindDescriptorSets)                 \
  F(vkCmdBindPipeline)                       \
  F(vkCmdCopyBuffer)                         \
  F(vkCmdDispatch)                           \
  F(vkCmdPipelineBarrier)                    \
  F(vkCmdPushConstants)                      \
  F(vkCmdResetQueryPool)                     \
  F(vkCmdWriteTimestamp)                     \
  F(vkCreateBuffer)                          \
  F(vkCreateCommandPool)                     \
  F(vkCreateComputePipelines)                \
  F(vkCreateDescriptorPool)                  \
  F(vkCreateDescriptorSetLayout)             \
  F(vkCreatePipelineLayout)                  \
  F(vkCreateQueryPool)                       \
  F(vkCreateSemaphore)                       \
  F(vkCreateShaderModule)                    \
  F(vkDestroyBuffer)                         \
  F(vkDestroyCommandPool)                    \
  F(vkDestroyDescriptorPool)                 \
  F(vkDestroyDescriptorSetLayout)            \
  F(vkDestroyDevice)                         \
  F(vkDestroyPipeline)                       \
  F(vkDestroyPipelineLayout)                 \
  F(vkDestroyQueryPool)                      \
  F(vkDestroySemaphore)                      \
  F(vkDestroyShaderModule)                   \
  F(vkDeviceWaitIdle)                        \
  F(vkEndCommandBuffer)                      \
  F(vkFreeMemory)                            \
  F(vkGetBufferMemoryRequirements)           \
  F(vkGetDeviceQueue)                        \
  F(vkGetQueryPoolResults)                   \
  F(vkMapMemory)                             \
  F(vkQueueSubmit)                           \
  F(vkResetCommandPool)                      \
  F(vkResetDescriptorPool)                   \
  F(vkUpdateDescriptorSets)

// Part of Vulkan since 1.2; before, of an extension, with KHR behind their names.
#define ARROWMIND_VULKAN_TIMELINE_FUNCTIONS(F) \
  F(vkGetSemaphoreCounterValue)                \
  F(vkWaitSemaphores)

#define ARROWMIND_DECLARE(name) PFN_##name name = nullptr;
struct InstanceFunctions {
  ARROWMIND_VULKAN_INSTANCE_FUNCTIONS(ARROWMIND_DECLARE)
};
struct DeviceFunctions {
  ARROWMIND_VULKAN_DEVICE_FUNCTIONS(ARROWMIND_DECLARE)
  ARROWMIND_VULKAN_TIMELINE_FUNCTIONS(ARROWMIND_DECLARE)
};
#undef ARROWMIND_DECLARE

}  // namespace arrowmind::vulkan
