#include "device/gpu/driver.h"

#include <dlfcn.h>

#include <mutex>

#include "device/backend.h"

namespace arrowmind::device::gpu {
namespace {

#ifndef ARROWMIND_DRIVER_LIBRARY
#define ARROWMIND_DRIVER_LIBRARY (kIsHip ? "libamdhip64.so" : "libcuda.so.1")
#endif

// The least version of a driver, as it numbers itself. CUDA: code of a toolkit runs on drivers of its own
// major version and later ones. HIP: code objects of version 4.
#ifndef ARROWMIND_LEAST_DRIVER
#define ARROWMIND_LEAST_DRIVER (kIsHip ? 40100000 : 13000)
#endif

std::string version_text(int version) {
  if (kIsHip) return std::to_string(version / 10000000) + "." + std::to_string(version / 100000 % 100);
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Opened none(int32_t answer, std::string words) {
  return {.driver = nullptr, .answer = answer, .words = std::move(words)};
}

void* open_library() {
  if (void* library = dlopen(ARROWMIND_DRIVER_LIBRARY, RTLD_NOW | RTLD_LOCAL)) return library;
  // Packages of ROCm without those for development have only names with versions.
  for (const char* name : {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"}) {
    if (!kIsHip) break;
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

// Name of a function that the library lacks; null where it has them all.
const char* fill(void* library, Driver* driver) {
#define DRIVER(member, cuda, hip, parameters)                                                       \
  driver->member = reinterpret_cast<decltype(driver->member)>(dlsym(library, kIsHip ? hip : cuda)); \
  if (driver->member == nullptr) return kIsHip ? hip : cuda;
#define OPTIONAL(member, cuda, hip, parameters) \
  driver->member = reinterpret_cast<decltype(driver->member)>(dlsym(library, kIsHip ? hip : cuda));
#include "device/gpu/driver.inc"
  DRIVER(failure_text, "cuGetErrorString", "hipGetErrorString", )
#undef DRIVER
#undef OPTIONAL
  return nullptr;
}

Opened started(const Driver& driver) {
  int version = 0;
  driver.version(&version);
  if (version < ARROWMIND_LEAST_DRIVER) {
    return none(ARROWMIND_DRIVER_TOO_OLD, "the driver serves version " + version_text(version) +
                                              ", at least " + version_text(ARROWMIND_LEAST_DRIVER) +
                                              " is needed");
  }
  const int failure = driver.init(0);
  if (failure == kSuccess) return {.driver = &driver, .answer = ARROWMIND_USABLE, .words = ""};
  const std::string words = words_of(driver, failure);
  // What HIP says where there is none.
  const bool has_none = failure == kNoDevice || (kIsHip && failure == kInvalidDevice);
  if (has_none) return none(ARROWMIND_NO_DEVICE, words);
  return none(ARROWMIND_PROBE_FAILED, "the driver does not start: " + words);
}

}  // namespace

std::string words_of(const Driver& driver, int failure) {
  const char* text = nullptr;
#ifdef ARROWMIND_HIP
  text = driver.failure_text(failure);
#else
  driver.failure_text(failure, &text);
#endif
  return std::string(text == nullptr ? "unknown" : text) + " (" + std::to_string(failure) + ")";
}

Opened open_driver() {
  static std::mutex mutex;
  static Driver driver;
  static void* library = nullptr;
  static bool is_started = false;
  const std::lock_guard lock(mutex);
  if (is_started) return {.driver = &driver, .answer = ARROWMIND_USABLE, .words = ""};
  if (library == nullptr) {
    void* found = open_library();
    if (found == nullptr) {
      const char* words = dlerror();
      return none(ARROWMIND_NO_DRIVER, words == nullptr ? "the library of the driver was not found" : words);
    }
    if (const char* missing = fill(found, &driver)) {
      dlclose(found);
      return none(ARROWMIND_DRIVER_TOO_OLD, std::string("the driver has no function ") + missing);
    }
    library = found;
  }
  Opened opened = started(driver);
  is_started = opened.driver != nullptr;
  return opened;
}

int32_t status_of(int failure) {
  switch (failure) {
    case kSuccess:
      return ARROWMIND_OK;
    case kOutOfMemory:
      return ARROWMIND_OUT_OF_MEMORY;
    case 200:  // invalid image
    case 209:  // no code for this device
    case 218:  // invalid PTX
    case 222:  // PTX of a later version
    case 500:  // nothing of this name
    case 801:  // not supported
      return ARROWMIND_NOT_SUPPORTED;
    case 701:  // too many registers or too much shared memory
      return ARROWMIND_LAUNCH_FAILED;
    // From here on every later call fails, too, until the context is made anew.
    case 4:    // the driver shuts down
    case 101:  // no such device any more
    case 214:  // memory error that could not be corrected
    case 220:  // the same on a link
    case 226:  // the same, contained
    case 700:  // illegal address
    case 702:  // a kernel ran for too long
    case 709:  // the context was destroyed
    case 710:  // assertion in a kernel
    case 714:  // stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // address of another space
    case 718:  // invalid program counter
    case 719:  // a kernel failed
    case 999:  // unknown
      return ARROWMIND_LOST;
    default:
      return ARROWMIND_FAILED;
  }
}

}  // namespace arrowmind::device::gpu
