// Back ends that break the rules, each in one way; -DHOSTILE_<WAY> chooses. What works in them is that of the
// cpu device.
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "device/cpu_backend.h"

namespace {

[[maybe_unused]] ArrowmindBackend table = arrowmind::device::cpu_backend();

[[maybe_unused]] int32_t failing_probe(int32_t*, ArrowmindWords* words) {
  std::memset(words->text, '\x1b', sizeof words->text);  // no end, and nothing for a terminal
  return 77;
}

[[maybe_unused]] int32_t throwing_probe(int32_t*, ArrowmindWords*) {
  throw std::runtime_error("probe");
}

[[maybe_unused]] int32_t endless_probe(int32_t* count, ArrowmindWords*) {
  *count = 2147483647;
  return ARROWMIND_USABLE;
}

[[maybe_unused]] int32_t failing_describe(int32_t, ArrowmindDeviceInfo*, ArrowmindWords*) {
  return ARROWMIND_LOST;
}

[[maybe_unused]] int32_t wild_describe(int32_t, ArrowmindDeviceInfo* info, ArrowmindWords*) {
  const uint32_t size = info->size;
  std::memset(info, 0xff, size);
  return ARROWMIND_OK;
}

[[maybe_unused]] int32_t empty_open(int32_t, ArrowmindDevice**, ArrowmindWords*) {
  return ARROWMIND_OK;
}

[[maybe_unused]] int32_t empty_allocate(ArrowmindDevice*, int64_t, uint64_t*, ArrowmindWords*) {
  return ARROWMIND_OK;
}

[[maybe_unused]] int32_t throwing_allocate(ArrowmindDevice*, int64_t, uint64_t*, ArrowmindWords*) {
  throw 1;
}

}  // namespace

#ifdef HOSTILE_MISSING_SYMBOL
extern "C" int arrowmind_of_a_library_that_is_not_there(void);
#endif

#ifndef HOSTILE_NO_ENTRY
extern "C" __attribute__((visibility("default"))) const ArrowmindBackend* arrowmind_device_backend(uint32_t) {
#if defined(HOSTILE_NULL_TABLE)
  return nullptr;
#elif defined(HOSTILE_WRONG_VERSION)
  table.abi = 999;
#elif defined(HOSTILE_SHORT_TABLE)
  table.size = 16;
#elif defined(HOSTILE_EARLIER_TABLE)
  table.size = offsetof(ArrowmindBackend, allocate_pinned);  // what lies behind is not to be looked at
  table.allocate_pinned = reinterpret_cast<decltype(table.allocate_pinned)>(1);
#elif defined(HOSTILE_LATER_TABLE)
  table.size = sizeof table + 800;
#elif defined(HOSTILE_NULL_FUNCTION)
  table.launch = nullptr;
#elif defined(HOSTILE_NO_RELEASE)
  table.release_pinned = nullptr;
#elif defined(HOSTILE_NO_OPTIONS)
  table.allocate_pinned = nullptr;
  table.release_pinned = nullptr;
  table.register_host = nullptr;
  table.unregister_host = nullptr;
#elif defined(HOSTILE_THROWING_ENTRY)
  throw std::runtime_error("entry");
#elif defined(HOSTILE_FAILING_PROBE)
  table.probe = failing_probe;
#elif defined(HOSTILE_THROWING_PROBE)
  table.probe = throwing_probe;
#elif defined(HOSTILE_ENDLESS_PROBE)
  table.probe = endless_probe;
#elif defined(HOSTILE_FAILING_DESCRIBE)
  table.describe = failing_describe;
#elif defined(HOSTILE_WILD_DESCRIBE)
  table.describe = wild_describe;
#elif defined(HOSTILE_EMPTY_OPEN)
  table.open = empty_open;
#elif defined(HOSTILE_EMPTY_ALLOCATE)
  table.allocate = empty_allocate;
#elif defined(HOSTILE_THROWING_ALLOCATE)
  table.allocate = throwing_allocate;
#elif defined(HOSTILE_MISSING_SYMBOL)
  arrowmind_of_a_library_that_is_not_there();
#endif
  return &table;
}
#endif
