#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>

#include "base/error.h"
#include "bindings/bindings.h"
#include "bindings/cached_attention.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::bindings {
namespace {

using runtime::KvCache;

KvCache* make_cache(const std::vector<std::tuple<int64_t, int64_t, int64_t>>& layers,
                    const std::string& format, int64_t page_tokens, int64_t max_tokens, int64_t sinks,
                    int64_t recent, int64_t chunk) {
  std::vector<runtime::CacheLayer> described;
  for (const auto& [group, key_heads, head_dim] : layers) described.push_back({group, key_heads, head_dim});
  return new KvCache(described, {.format = cache_format(format),
                                 .page_tokens = page_tokens,
                                 .max_tokens = max_tokens,
                                 .sinks = sinks,
                                 .recent = recent,
                                 .chunk = chunk});
}

void reserve(KvCache& cache, const std::vector<std::tuple<int64_t, int64_t>>& growth) {
  std::vector<runtime::Growth> described;
  for (const auto& [sequence, tokens] : growth) described.push_back({sequence, tokens});
  cache.reserve(described);
}

}  // namespace

// Whoever waits for a forward that holds the cache's lock must not hold the GIL meanwhile.
void bind_cache(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<KvCache>(m, "KvCache", "Keys and values of many sequences; see csrc/runtime/cache/kv_cache.h.")
      .def(nb::new_(&make_cache), nb::arg("layers"), nb::arg("format"), nb::arg("page_tokens"),
           nb::arg("max_tokens"), nb::arg("sinks") = 4, nb::arg("recent") = 64, nb::arg("chunk") = 512,
           "`layers`: a group, heads of keys and head size for each.")
      .def("start", &KvCache::start, Release())
      .def("fork", &KvCache::fork, nb::arg("sequence"), nb::arg("tokens"), Release())
      .def("forget", &KvCache::forget, nb::arg("sequence"), nb::arg("tokens"), Release())
      .def("close", &KvCache::close, nb::arg("sequence"), Release())
      .def("length", &KvCache::length, nb::arg("sequence"), Release())
      .def("reserve", &reserve, nb::arg("growth"), Release())
      .def("trim", &KvCache::trim, Release())
      .def_prop_ro("free_tokens", &KvCache::free_tokens, Release())
      .def_prop_ro("used_bytes", &KvCache::used_bytes, Release())
      .def_prop_ro("held_bytes", &KvCache::held_bytes, Release())
      .def_prop_ro("bound_bytes", &KvCache::bound_bytes);
}

}  // namespace arrowmind::bindings
