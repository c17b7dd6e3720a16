#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <tuple>

#include "base/error.h"
#include "bindings/arrays.h"
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

using Pages = nb::ndarray<uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using ConstPages = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <typename Array>
int64_t count_pages(const KvCache& cache, const Array& pages) {
  const int64_t bytes = static_cast<int64_t>(pages.shape(1));
  if (bytes != cache.page_bytes()) {
    fail(ErrorKind::kInvalidArgument, "pages of ", bytes, " bytes; this cache has pages of ",
         cache.page_bytes());
  }
  return static_cast<int64_t>(pages.shape(0));
}

void copy_pages(const KvCache& cache, int64_t sequence, int64_t first, const Pages& out) {
  const int64_t count = count_pages(cache, out);
  nb::gil_scoped_release release;
  cache.copy_pages(sequence, first, count, reinterpret_cast<char*>(out.data()));
}

void splice(KvCache& cache, int64_t sequence, int64_t first, int64_t count, const ConstPages& pages) {
  const int64_t put = count_pages(cache, pages);
  nb::gil_scoped_release release;
  cache.splice(sequence, first, count, reinterpret_cast<const char*>(pages.data()), put);
}

using Rotation = std::tuple<int64_t, bool, Vector<const float>>;

void turn(const KvCache& cache, const Pages& pages, int64_t distance, const std::vector<Rotation>& layers) {
  const int64_t count = count_pages(cache, pages);
  std::vector<runtime::KeyRotation> rotations;
  for (const auto& [first, interleaved, frequencies] : layers) {
    rotations.push_back({.frequencies = frequencies.data(),
                         .pairs = static_cast<int64_t>(frequencies.size()),
                         .first = first,
                         .interleaved = interleaved});
  }
  nb::gil_scoped_release release;
  cache.turn(reinterpret_cast<char*>(pages.data()), count, distance, rotations);
}

nb::ndarray<nb::numpy, uint8_t> fresh_pages(int64_t count, int64_t bytes) {
  const size_t size = static_cast<size_t>(count * bytes);
  auto made = std::make_unique_for_overwrite<uint8_t[]>(size);
  uint8_t* data = made.get();
  nb::capsule owner(made.release(), [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
  return {data, {static_cast<size_t>(count), static_cast<size_t>(bytes)}, owner};
}

nb::ndarray<nb::numpy, uint8_t> encode(const KvCache& cache, const ConstPages& pages,
                                       const std::string& name) {
  const cached_attention::Format format = cache_format(name);
  const int64_t count = count_pages(cache, pages);
  nb::ndarray<nb::numpy, uint8_t> codes = fresh_pages(count, cache.encoded_bytes(format));
  nb::gil_scoped_release release;
  cache.encode(reinterpret_cast<const char*>(pages.data()), count, format,
               reinterpret_cast<char*>(codes.data()));
  return codes;
}

nb::ndarray<nb::numpy, uint8_t> decode(const KvCache& cache, const ConstPages& codes,
                                       const std::string& name) {
  const cached_attention::Format format = cache_format(name);
  const int64_t bytes = static_cast<int64_t>(codes.shape(1)), needed = cache.encoded_bytes(format);
  if (bytes != needed) {
    fail(ErrorKind::kInvalidArgument, "encoded pages of ", bytes, " bytes; ", name, " needs ", needed);
  }
  const int64_t count = static_cast<int64_t>(codes.shape(0));
  nb::ndarray<nb::numpy, uint8_t> pages = fresh_pages(count, cache.page_bytes());
  nb::gil_scoped_release release;
  cache.decode(reinterpret_cast<const char*>(codes.data()), count, format,
               reinterpret_cast<char*>(pages.data()));
  return pages;
}

void read_keys(const KvCache& cache, const ConstPages& pages, int64_t layer, const Matrix<float>& out) {
  const int64_t rows = count_pages(cache, pages) * cache.page_tokens();
  if (extent(out, 0) != rows || extent(out, 1) != cache.key_columns(layer)) {
    fail(ErrorKind::kInvalidArgument, "keys of [", extent(out, 0), ", ", extent(out, 1), "]; [", rows, ", ",
         cache.key_columns(layer), "] are needed");
  }
  nb::gil_scoped_release release;
  cache.read_keys(reinterpret_cast<const char*>(pages.data()), extent(pages, 0), layer, out.data());
}

int64_t device_bytes(KvCache& cache) {
  const auto lock = cache.guard();
  return cache.on_device() == nullptr ? 0 : cache.on_device()->bytes();
}

}  // namespace

// Whoever waits for a forward that holds the cache's lock must not hold the GIL meanwhile.
void bind_cache(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<KvCache>(m, "KvCache", "Keys and values of many sequences; see csrc/runtime/cache/kv_cache.h.")
      .def(nb::new_(&make_cache), nb::arg("layers"), nb::arg("format"), nb::arg("page_tokens"),
           nb::arg("max_tokens"), nb::arg("sinks") = 4, nb::arg("recent") = 64, nb::arg("chunk") = 512,
           "`layers`: a group, heads of keys and head size for each.")
      .def("start", &KvCache::start, nb::arg("shift") = 0, Release())
      .def("fork", &KvCache::fork, nb::arg("sequence"), nb::arg("tokens"), Release())
      .def("forget", &KvCache::forget, nb::arg("sequence"), nb::arg("tokens"), Release())
      .def("close", &KvCache::close, nb::arg("sequence"), Release())
      .def("length", &KvCache::length, nb::arg("sequence"), Release())
      .def("shift", &KvCache::shift, nb::arg("sequence"), Release())
      .def("copy_pages", &copy_pages, nb::arg("sequence"), nb::arg("first"), nb::arg("out"),
           "Copies as many whole pages as `out`, uint8 [pages, page_bytes], has rows.")
      .def("splice", &splice, nb::arg("sequence"), nb::arg("first"), nb::arg("count"), nb::arg("pages"),
           "Puts `pages` in the place of `count` pages; what is behind them keeps its positions.")
      .def("turn", &turn, nb::arg("pages"), nb::arg("distance"), nb::arg("layers"),
           "Moves the keys of copied pages; of each layer the first element that turns, whether neighbours "
           "turn against each other, and its frequencies.")
      .def("encode", &encode, nb::arg("pages"), nb::arg("format"), "Copied pages in another format.")
      .def("decode", &decode, nb::arg("codes"), nb::arg("format"), "Back to pages of this cache.")
      .def(
          "encoded_bytes",
          [](const KvCache& cache, const std::string& format) {
            return cache.encoded_bytes(cache_format(format));
          },
          nb::arg("format"))
      .def("key_columns", &KvCache::key_columns, nb::arg("layer"))
      .def("read_keys", &read_keys, nb::arg("pages"), nb::arg("layer"), nb::arg("out"),
           "Keys of copied pages as they are turned, float32 [pages * page_tokens, key_columns].")
      .def("reserve", &reserve, nb::arg("growth"), Release())
      .def("trim", &KvCache::trim, Release())
      .def("to_host", &KvCache::to_host, Release(),
           "Brings pages back from a device; False where it gave them no more: every token must be written "
           "again then.")
      .def("rewind", &KvCache::rewind, nb::arg("sequence"), nb::arg("tokens"), Release(),
           "The tokens from `tokens` on will be written again, or were.")
      .def_prop_ro("device_bytes", &device_bytes, Release(), "Memory of the pages on a device, or 0.")
      .def_prop_ro("free_tokens", &KvCache::free_tokens, Release())
      .def_prop_ro("used_bytes", &KvCache::used_bytes, Release())
      .def_prop_ro("held_bytes", &KvCache::held_bytes, Release())
      .def_prop_ro("bound_bytes", &KvCache::bound_bytes)
      .def_prop_ro("can_move", &KvCache::can_move)
      .def_prop_ro("page_tokens", &KvCache::page_tokens)
      .def_prop_ro("page_bytes", &KvCache::page_bytes);
}

}  // namespace arrowmind::bindings
