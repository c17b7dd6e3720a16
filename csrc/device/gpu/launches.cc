// Kernels of the back end of CUDA and HIP.
#include <string_view>

#include "device/gpu/calls.h"

namespace arrowmind::device::gpu {
namespace {

constexpr uint32_t kMostThreads = 1024, kUsualThreads = 256;

// The code of a source, loaded when the first of its kernels is asked for. The device's lock is held.
int load_image(ArrowmindDevice* device, int index, void** module) {
  void*& loaded = device->modules[static_cast<size_t>(index)];
  if (loaded == nullptr) {
    const int failure = device->driver->load_module(&loaded, image(index).code);
    if (failure != kSuccess) {
      loaded = nullptr;
      return failure;
    }
  }
  *module = loaded;
  return kSuccess;
}

const KernelRow& row_of(const ArrowmindDevice& device, uint64_t kernel) {
  return row(static_cast<int>(reinterpret_cast<void* const*>(kernel) - device.functions.data()));
}

// Kernels whose large tiles tensor cores are to multiply (kernels/qmatmul/gpu/wide.h).
bool is_wide(const char* name) {
  return std::string_view(name).ends_with("_wide");
}

// Kernels that only sm_90 has instructions for (kernels/qmatmul/gpu/wgmma.h).
bool is_wgmma(const char* name) {
  return std::string_view(name).ends_with("_wgmma");
}

// Why a kernel cannot be launched so; null when it can.
const char* refusal_of(const ArrowmindLaunch& launch, const KernelRow& row) {
  if (launch.place_count != row.places || launch.parameter_bytes != row.parameter_bytes ||
      launch.place_count > kMostPlaces) {
    return "another number of places or bytes of parameters";
  }
  const uint32_t threads = launch.group[0];
  const bool fits = row.group == 0 ? threads >= 1 && threads <= kMostThreads : threads == row.group;
  if (!fits || launch.group[1] != 1 || launch.group[2] != 1)
    return "another group than the kernel is made for";
  return nullptr;
}

}  // namespace

// A kernel's handle: its function, whose place among those of the device is the number of its row.
int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  const int number = find_row(name);
  if (number < 0) return say(words, ARROWMIND_NOT_SUPPORTED, "no kernel of this name");
  if (is_wide(name) && !device->multiplies_bf16) {
    return say(words, ARROWMIND_NOT_SUPPORTED, "without instructions for bfloat16 it is no faster");
  }
  if (is_wgmma(name) && !device->multiplies_by_warpgroups) {
    return say(words, ARROWMIND_NOT_SUPPORTED,
               "only devices of compute capability 9.0 have its instructions");
  }
  char symbol[96];
  std::snprintf(symbol, sizeof symbol, "arrowmind_%s", name);
  void*& function = device->functions[static_cast<size_t>(number)];
  const int32_t status = ask(device, words, [&](const Driver& driver) -> int {
    const std::lock_guard lock(device->mutex);
    if (function != nullptr) return kSuccess;
    void* module = nullptr;
    const int failure = load_image(device, row(number).image, &module);
    return failure == kSuccess ? driver.find_function(&function, module, symbol) : failure;
  });
  if (status == ARROWMIND_OK) *kernel = reinterpret_cast<uint64_t>(&function);
  return status;
}

const char* DriverLaunch::fill(const ArrowmindDevice& device, const ArrowmindLaunch& launch) {
  const KernelRow& row = row_of(device, launch.kernel);
  if (const char* refusal = refusal_of(launch, row)) return refusal;
  for (uint32_t i = 0; i < launch.place_count; ++i) {
    addresses[i] = address(launch.places[i]);
    arguments[i] = &addresses[i];
  }
  arguments[launch.place_count] = const_cast<void*>(launch.parameters);
  function = *reinterpret_cast<void* const*>(launch.kernel);
  // Only the first direction has room for more than 65535 groups: rows run along it, but where there are
  // none.
  const bool has_rows = row.group != 0;
  grid[0] = launch.grid[has_rows ? 1 : 0];
  grid[1] = launch.grid[has_rows ? 0 : 1];
  grid[2] = launch.grid[2];
  return nullptr;
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words) {
  DriverLaunch what;
  if (const char* refusal = what.fill(*stream->device, *launch)) {
    return say(words, ARROWMIND_LAUNCH_FAILED, refusal);
  }
  const int32_t status = ask(stream->device, words, [&](const Driver& driver) {
    return driver.launch(what.function, what.grid[0], what.grid[1], what.grid[2], launch->group[0], 1, 1,
                         launch->shared_bytes, stream->handle, what.arguments.data(), nullptr);
  });
  return status == ARROWMIND_FAILED ? int32_t{ARROWMIND_LAUNCH_FAILED} : status;
}

int32_t describe_kernel(ArrowmindDevice* device, uint64_t kernel, ArrowmindKernelInfo* info,
                        ArrowmindWords*) {
  const KernelRow& row = row_of(*device, kernel);
  info->group[0] = row.group == 0 ? kUsualThreads : row.group;
  info->group[1] = info->group[2] = 1;
  for (int i = 0; i < 3; ++i) info->tile[i] = row.tile[i];
  info->shared_bytes = 0;
  return ARROWMIND_OK;
}

}  // namespace arrowmind::device::gpu
