#include "device/vulkan/driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include "device/vulkan/refusal.h"

namespace arrowmind::vulkan {
namespace {

// 1.1 for the functions that end in 2, and for the memory model of shaders.
constexpr uint32_t kLeastVersion = VK_API_VERSION_1_1;

std::string version_text(uint32_t version) {
  return std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version)) +
         "." + std::to_string(VK_API_VERSION_PATCH(version));
}

struct Missing {
  int32_t probe;
  std::string words;
};

PFN_vkGetInstanceProcAddr open_library() {
#ifdef __APPLE__
  constexpr const char* kNames[] = {"libvulkan.1.dylib", "libMoltenVK.dylib"};
#else
  constexpr const char* kNames[] = {"libvulkan.so.1", "libvulkan.so"};
#endif
  std::string why;
  for (const char* name : kNames) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL); library != nullptr) {
      if (void* entry = dlsym(library, "vkGetInstanceProcAddr"); entry != nullptr) {
        return reinterpret_cast<PFN_vkGetInstanceProcAddr>(entry);
      }
      throw Missing{ARROWMIND_PROBE_FAILED, std::string(name) + " has no vkGetInstanceProcAddr"};
    }
    const char* words = dlerror();
    if (why.empty()) why = words == nullptr ? name : words;
  }
  throw Missing{ARROWMIND_NO_DRIVER,
                why + "; install the Vulkan loader (Debian: libvulkan1) and the driver of the GPU"};
}

VkInstance make_instance(PFN_vkGetInstanceProcAddr get) {
  const auto version_of =
      reinterpret_cast<PFN_vkEnumerateInstanceVersion>(get(nullptr, "vkEnumerateInstanceVersion"));
  uint32_t version = VK_API_VERSION_1_0;
  if (version_of != nullptr) version_of(&version);
  if (version < kLeastVersion) {
    throw Missing{ARROWMIND_DRIVER_TOO_OLD,
                  "the Vulkan loader speaks " + version_text(version) + ", and 1.1 is needed"};
  }
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = application.pEngineName = "arrowmind";
  application.apiVersion = std::min<uint32_t>(version, VK_API_VERSION_1_3);
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(get(nullptr, "vkCreateInstance"));
  if (create == nullptr) throw Missing{ARROWMIND_PROBE_FAILED, "the Vulkan loader has no vkCreateInstance"};
  VkInstance instance = VK_NULL_HANDLE;
  const VkResult result = create(&info, nullptr, &instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    throw Missing{ARROWMIND_NO_DEVICE, "the Vulkan loader found no driver of a device"};
  }
  if (result != VK_SUCCESS) {
    throw Missing{ARROWMIND_PROBE_FAILED, std::string("vkCreateInstance gave ") + name_of(result)};
  }
  return instance;
}

InstanceFunctions functions_of(PFN_vkGetInstanceProcAddr get, VkInstance instance) {
  InstanceFunctions vk;
#define ARROWMIND_FIND(name)                                    \
  vk.name = reinterpret_cast<PFN_##name>(get(instance, #name)); \
  if (vk.name == nullptr) throw Missing{ARROWMIND_DRIVER_TOO_OLD, "the driver has no function " #name};
  ARROWMIND_VULKAN_INSTANCE_FUNCTIONS(ARROWMIND_FIND)
#undef ARROWMIND_FIND
  return vk;
}

std::vector<std::string> extensions_of(const InstanceFunctions& vk, VkPhysicalDevice device) {
  uint32_t count = 0;
  vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> found(count);
  vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, found.data());
  found.resize(count);
  std::vector<std::string> names;
  for (const VkExtensionProperties& one : found) names.emplace_back(one.extensionName);
  return names;
}

// The family of queues that compute, without graphics where there is one; false: there is none.
bool choose_queues(const InstanceFunctions& vk, PhysicalDevice* device) {
  uint32_t count = 0;
  vk.vkGetPhysicalDeviceQueueFamilyProperties(device->handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vk.vkGetPhysicalDeviceQueueFamilyProperties(device->handle, &count, families.data());
  bool found = false;
  for (uint32_t i = 0; i < count; ++i) {
    const bool computes = (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
    const bool draws = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
    if (!computes || (found && draws)) continue;
    device->queue_family = i;
    device->queues = std::min(families[i].queueCount, 4u);
    device->timestamp_bits = families[i].timestampValidBits;
    found = true;
    if (!draws) break;
  }
  return found;
}

void describe_memory(const InstanceFunctions& vk, PhysicalDevice* device) {
  VkPhysicalDeviceMemoryProperties2 memory = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  vk.vkGetPhysicalDeviceMemoryProperties2(device->handle, &memory);
  device->memory = memory.memoryProperties;
  bool all_local = true;
  for (uint32_t i = 0; i < device->memory.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = device->memory.memoryHeaps[i];
    const bool local = (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
    if (local) device->total_bytes = std::max(device->total_bytes, static_cast<int64_t>(heap.size));
    all_local = all_local && local;
  }
  const VkPhysicalDeviceType type = device->properties.deviceType;
  device->shares_host_memory =
      all_local || type == VK_PHYSICAL_DEVICE_TYPE_CPU || type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
}

// Empty where the device can be used.
std::string describe_device(const InstanceFunctions& vk, PhysicalDevice* device) {
  VkPhysicalDeviceDriverProperties driver = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
  VkPhysicalDeviceMaintenance3Properties sizes = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  vk.vkGetPhysicalDeviceProperties2(device->handle, &properties);
  device->properties = properties.properties;
  const uint32_t version = device->properties.apiVersion;
  const std::string name = device->properties.deviceName;
  if (version < kLeastVersion)
    return name + " speaks Vulkan " + version_text(version) + ", and 1.1 is needed";

  const std::vector<std::string> extensions = extensions_of(vk, device->handle);
  const auto has = [&](const char* wanted) {
    return std::ranges::find(extensions, wanted) != extensions.end();
  };
  const bool is_1_2 = version >= VK_API_VERSION_1_2;
  if (is_1_2 || has(VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) sizes.pNext = &driver;
  properties.pNext = &sizes;
  vk.vkGetPhysicalDeviceProperties2(device->handle, &properties);
  const uint64_t range = device->limits().maxStorageBufferRange, most = sizes.maxMemoryAllocationSize;
  device->most_place_bytes = static_cast<int64_t>(most == 0 ? range : std::min(range, most));
  device->driver =
      driver.driverInfo[0] != '\0' ? driver.driverInfo : version_text(properties.properties.driverVersion);
  device->has_timeline_in_core = is_1_2;
  device->tells_budget = has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);

  VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
  if (is_1_2 || has(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME)) {
    VkPhysicalDeviceFeatures2 features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    features.pNext = &timeline;
    vk.vkGetPhysicalDeviceFeatures2(device->handle, &features);
  }
  if (timeline.timelineSemaphore == VK_FALSE) return name + " has no timeline semaphores";
  if (!choose_queues(vk, device)) return name + " has no queue that computes";
  describe_memory(vk, device);
  return "";
}

// Devices of their own memory first: the order in which a number chooses among them.
int rank(const PhysicalDevice& device) {
  switch (device.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 4;
    default:
      return 3;
  }
}

Driver find_driver() {
  Driver found;
  const PFN_vkGetInstanceProcAddr get = open_library();
  const VkInstance instance = make_instance(get);  // kept as long as the process where it has a device
  const auto destroy = reinterpret_cast<PFN_vkDestroyInstance>(get(instance, "vkDestroyInstance"));
  const auto give_back = [destroy](VkInstance unused) {
    if (destroy != nullptr) destroy(unused, nullptr);
  };
  std::unique_ptr<VkInstance_T, decltype(give_back)> guard(instance, give_back);
  found.vk = functions_of(get, instance);
  uint32_t count = 0;
  found.vk.vkEnumeratePhysicalDevices(instance, &count, nullptr);
  std::vector<VkPhysicalDevice> handles(count);
  found.vk.vkEnumeratePhysicalDevices(instance, &count, handles.data());
  handles.resize(count);
  std::string refusals;
  for (const VkPhysicalDevice handle : handles) {
    PhysicalDevice device;
    device.handle = handle;
    const std::string refusal = describe_device(found.vk, &device);
    if (refusal.empty()) {
      found.devices.push_back(device);
    } else {
      refusals += (refusals.empty() ? "" : "; ") + refusal;
    }
  }
  std::ranges::stable_sort(found.devices, {}, rank);
  if (!found.devices.empty()) {
    found.probe = ARROWMIND_USABLE;
  } else if (handles.empty()) {
    throw Missing{ARROWMIND_NO_DEVICE, "the Vulkan driver knows of no device"};
  } else {
    throw Missing{ARROWMIND_DRIVER_TOO_OLD, refusals};
  }
  guard.release();
  return found;
}

}  // namespace

const Driver& driver() {
  static std::mutex mutex;
  static const Driver* usable = nullptr;  // never given back, as what it gave out may live as long
  thread_local Driver refused;
  const std::lock_guard lock(mutex);
  if (usable != nullptr) return *usable;
  try {
    usable = std::make_unique<Driver>(find_driver()).release();
    return *usable;
  } catch (const Missing& missing) {
    refused = Driver{.probe = missing.probe, .words = missing.words, .vk = {}, .devices = {}};
  }
  return refused;
}

}  // namespace arrowmind::vulkan
