#include <array>
#include <string_view>

#include "base/error.h"
#include "bindings/bindings.h"
#include "device/failure.h"

namespace nb = nanobind;

namespace {

// Class in arrowmind.errors for each ErrorKind, in its order.
constexpr std::array<const char*, 8> kErrorClasses = {
    "InvalidArgumentError", "ConfigurationError", "DeviceError",    "WeightError",
    "IntegrityError",       "KernelError",        "CacheFullError", "MemoryBudgetError",
};

// Class in arrowmind.errors for each Failure of a device, in its order.
constexpr std::array<const char*, 6> kFailureClasses = {
    "DeviceError",     "DeviceMemoryError",      "DeviceLaunchError",
    "DeviceLostError", "DeviceUnsupportedError", "DeviceError",
};

void raise(const char* type, const char* message) {
  PyErr_SetString(nb::module_::import_("arrowmind.errors").attr(type).ptr(), message);
}

void translate(const std::exception_ptr& pointer, void* /*unused*/) {
  try {
    std::rethrow_exception(pointer);
  } catch (const arrowmind::device::DeviceFailure& error) {
    raise(kFailureClasses.at(static_cast<size_t>(error.failure())), error.what());
  } catch (const arrowmind::Error& error) {
    raise(kErrorClasses.at(static_cast<size_t>(error.kind())), error.what());
  }
}

}  // namespace

NB_MODULE(_native, m) {
  nb::register_exception_translator(translate);
  arrowmind::bindings::bind_arrow(m);
  arrowmind::bindings::bind_base(m);
  arrowmind::bindings::bind_device(m);
  arrowmind::bindings::bind_interchange(m);
  arrowmind::bindings::bind_lexical(m);
  arrowmind::bindings::bind_linear(m);
  arrowmind::bindings::bind_qmatmul(m);
  arrowmind::bindings::bind_activate(m);
  arrowmind::bindings::bind_attention(m);
  arrowmind::bindings::bind_cached_attention(m);
  arrowmind::bindings::bind_cross_attention(m);
  arrowmind::bindings::bind_embed(m);
  arrowmind::bindings::bind_norm(m);
  arrowmind::bindings::bind_pool(m);
  arrowmind::bindings::bind_quantise(m);
  arrowmind::bindings::bind_residency(m);
  arrowmind::bindings::bind_rope(m);
  arrowmind::bindings::bind_route(m);
  arrowmind::bindings::bind_scan_tables(m);
  arrowmind::bindings::bind_scan(m);
  arrowmind::bindings::bind_cache(m);
  arrowmind::bindings::bind_plan(m);
  arrowmind::bindings::bind_shared_rows(m);
  arrowmind::bindings::bind_foreign_linear(m);
  arrowmind::bindings::bind_device_weights(m);
  arrowmind::bindings::bind_device_plan(m);
  arrowmind::bindings::bind_simd(m);
  arrowmind::bindings::bind_weight_table(m);
  arrowmind::bindings::bind_trellis(m);
}
