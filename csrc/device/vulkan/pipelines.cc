// Kernels: made when they are first asked for, as a driver compiles each for its device.

#include <algorithm>
#include <string>

#include "device/vulkan/device.h"
#include "device/vulkan/refusal.h"

namespace arrowmind::vulkan {
namespace {

constexpr uint32_t kParameterBytes = 128;  // what every Vulkan has at least

const Shader& shader_of(const std::string& name) {
  for (const Shader& shader : shaders()) {
    if (name == shader.name) return shader;
  }
  refuse(ARROWMIND_NOT_SUPPORTED, "no kernel of this name");
}

void expect_fitting(const Shader& shader, const VkPhysicalDeviceLimits& limits) {
  const uint32_t bindings = std::min(limits.maxPerStageDescriptorStorageBuffers, limits.maxPerStageResources);
  if (shader.places > bindings) {
    refuse(ARROWMIND_NOT_SUPPORTED, "it needs " + std::to_string(shader.places) +
                                        " storage buffers, and the device binds " + std::to_string(bindings));
  }
  const uint32_t threads = std::min(limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]);
  if (shader.threads > threads) {
    refuse(ARROWMIND_NOT_SUPPORTED, "it needs groups of " + std::to_string(shader.threads) +
                                        " threads, and the device has " + std::to_string(threads));
  }
}

}  // namespace

const Layout& Device::layout(uint32_t places) {
  Layout& layout = layouts_[places];
  if (layout.pipeline != VK_NULL_HANDLE) return layout;
  std::array<VkDescriptorSetLayoutBinding, kMostPlaces> bindings = {};
  for (uint32_t i = 0; i < places; ++i) {
    bindings[i].binding = i;
    bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    bindings[i].descriptorCount = 1;
    bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo set = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.bindingCount = places;
  set.pBindings = bindings.data();
  if (layout.set == VK_NULL_HANDLE) {
    check(vk_.vkCreateDescriptorSetLayout(handle_, &set, nullptr, &layout.set),
          "vkCreateDescriptorSetLayout");
  }
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, kParameterBytes};
  VkPipelineLayoutCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  info.setLayoutCount = 1;
  info.pSetLayouts = &layout.set;
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &range;
  check(vk_.vkCreatePipelineLayout(handle_, &info, nullptr, &layout.pipeline), "vkCreatePipelineLayout");
  return layout;
}

VkPipeline Device::make_pipeline(const Shader& shader, VkPipelineLayout layout) {
  VkShaderModuleCreateInfo code = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  code.codeSize = shader.code_bytes;
  code.pCode = shader.code;
  VkShaderModule module = VK_NULL_HANDLE;
  check(vk_.vkCreateShaderModule(handle_, &code, nullptr, &module), "vkCreateShaderModule");
  VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.layout = layout;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = vk_.vkCreateComputePipelines(handle_, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline);
  vk_.vkDestroyShaderModule(handle_, module, nullptr);
  if (result != VK_SUCCESS && status_of(result) == ARROWMIND_FAILED) {
    refuse(ARROWMIND_NOT_SUPPORTED,
           std::string("the driver does not compile it: vkCreateComputePipelines gave ") + name_of(result));
  }
  check(result, "vkCreateComputePipelines");
  return pipeline;
}

const Kernel* Device::find_kernel(const std::string& name) {
  expect_here();
  const std::lock_guard lock(kernels_mutex_);
  if (const auto found = kernels_.find(name); found != kernels_.end()) return found->second.get();
  const Shader& shader = shader_of(name);
  expect_fitting(shader, physical_.limits());
  const Layout& places = layout(shader.places);
  auto kernel = std::make_unique<Kernel>(Kernel{&shader, places, make_pipeline(shader, places.pipeline)});
  const Kernel* made = kernel.get();
  kernels_.emplace(name, std::move(kernel));
  return made;
}

}  // namespace arrowmind::vulkan
