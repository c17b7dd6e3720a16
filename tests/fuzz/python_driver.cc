// libFuzzer for readers that are written in Python: loaded by python_target.py, which hands over a function
// to call with each input and tells by the counters where the reader has been.

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerRunDriver(int* count, char*** arguments, int (*target)(const uint8_t*, size_t));

namespace {
// Found by libFuzzer by its section; zeroed before each input.
__attribute__((used, section("__libfuzzer_extra_counters"))) uint8_t counters[1 << 14];
}  // namespace

extern "C" uint8_t* arrowmind_fuzz_counters(size_t* size) {
  *size = sizeof counters;
  return counters;
}

extern "C" int arrowmind_fuzz_run(int count, char** arguments, int (*target)(const uint8_t*, size_t)) {
  return LLVMFuzzerRunDriver(&count, &arguments, target);
}
