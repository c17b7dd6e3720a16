// Pages of a cache that go to a device and come back.

#include "base/checked.h"
#include "base/error.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::runtime {
namespace {

// Kernels are given places at multiples of so many bytes.
constexpr int64_t kConstantRound = 256;

}  // namespace

// Lists know pages by their addresses, too.
void KvCache::find_pages() {
  for (auto& [id, sequence] : sequences_) {
    for (PageList& list : sequence.groups) {
      for (size_t i = 0; i < list.exact.pages.size(); ++i) list.exact.put(i, list.exact.pages[i]);
    }
  }
}

void KvCache::to_device(std::shared_ptr<device::Device> device) {
  if (pool_.device() != nullptr && pool_.device()->device() == device) return;
  if (has_small()) {
    throw device::DeviceFailure(device::Failure::kNotSupported,
                                cat("[", device->name(),
                                    "] pages of 4 and 3 bits are not read there; use a cache of fp16, fp32 "
                                    "or int8, or device='cpu'"));
  }
  if (pool_.device() != nullptr) {
    throw device::DeviceFailure(device::Failure::kFailed,
                                cat("[", device->name(), "] the pages are on ",
                                    pool_.device()->device()->name(), " as it was opened before"));
  }
  std::vector<float> constants;
  for (Place& place : places_) {
    if (place.signs.empty()) continue;
    place.signs_offset = static_cast<int64_t>(constants.size()) * 4;
    constants.insert(constants.end(), place.signs.begin(), place.signs.end());
    constants.resize(
        static_cast<size_t>(round_up(static_cast<int64_t>(constants.size()) * 4, kConstantRound)) / 4);
  }
  pool_.to_device(std::make_unique<DevicePages>(std::move(device), group_bytes_, pool_.bound(), constants));
  find_pages();
}

bool KvCache::to_host() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (pool_.device() == nullptr) return true;
  const bool is_kept = pool_.to_host();
  find_pages();
  return is_kept;
}

void KvCache::rewind(int64_t id, int64_t tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& one = find(id);
  const int64_t most = static_cast<int64_t>(one.groups[0].exact.pages.size()) * options_.page_tokens;
  if (has_small() || tokens < 0 || tokens > most) {
    fail(ErrorKind::kInvalidArgument, "sequence ", id, " has pages for ", most, " tokens; it cannot go to ",
         tokens);
  }
  one.length = tokens;
}

KvCache::DeviceLayer KvCache::device_layer(int64_t layer) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return {.group = static_cast<int32_t>(place.layer.group),
          .offset = place.offset,
          .signs_offset = place.signs.empty() ? -1 : place.signs_offset,
          .key_heads = place.layer.key_heads,
          .layout = place.layout};
}

}  // namespace arrowmind::runtime
