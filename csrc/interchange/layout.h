#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/utf8.h"
#include "base/error.h"

// What the readers of tensor files have in common: tensors found by name, and their places in the file.
namespace arrowmind::interchange {

// A name of a file as messages show it: its beginning when it is long, and always UTF-8.
inline std::string shown(std::string_view name) {
  static constexpr size_t kMost = 120;
  return name.size() <= kMost ? arrow::printable(name) : arrow::printable(name.substr(0, kMost)) + "...";
}

// Positions of items sorted by name, for look-ups. Sorted, not hashed: names in a file can be chosen so that
// they all meet in one bucket.
class NameIndex {
 public:
  // Throws Error(kIntegrity) when two items have one name.
  template <typename Items>
  void build(const Items& items, std::string_view what);
  // Position of the item, -1 when there is none.
  template <typename Items>
  int64_t find(const Items& items, std::string_view name) const;

 private:
  std::vector<int64_t> order_;
};

template <typename Items>
void NameIndex::build(const Items& items, std::string_view what) {
  order_.resize(items.size());
  for (size_t i = 0; i < items.size(); ++i) order_[i] = static_cast<int64_t>(i);
  const auto name = [&](int64_t i) -> const std::string& { return items[static_cast<size_t>(i)].name; };
  std::sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return name(a) < name(b); });
  for (size_t i = 1; i < order_.size(); ++i) {
    if (name(order_[i]) == name(order_[i - 1])) {
      fail(ErrorKind::kIntegrity, what, " '", shown(name(order_[i])),
           "' comes twice; download or copy it again");
    }
  }
}

template <typename Items>
int64_t NameIndex::find(const Items& items, std::string_view name) const {
  const auto found = std::lower_bound(order_.begin(), order_.end(), name, [&](int64_t i, std::string_view n) {
    return items[static_cast<size_t>(i)].name < n;
  });
  return found != order_.end() && items[static_cast<size_t>(*found)].name == name ? *found : -1;
}

// Positions of tensors in the order of their bytes; tensors without bytes come before one at the same place.
template <typename Tensors>
std::vector<size_t> by_offset(const Tensors& tensors) {
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const auto& one = tensors[a].bytes;
    const auto& other = tensors[b].bytes;
    return one.offset != other.offset ? one.offset < other.offset : one.size < other.size;
  });
  return order;
}

}  // namespace arrowmind::interchange
