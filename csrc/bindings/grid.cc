#include "bindings/grid.h"

#include <nanobind/stl/string.h>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::bindings {
namespace {

using qmatmul::Scale;
using qmatmul::Weight;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Scale scale_type(const std::string& name) {
  if (name == "fp32") return Scale::kF32;
  if (name == "fp16") return Scale::kF16;
  if (name == "u8") return Scale::kU8;
  if (name == "e8m0") return Scale::kE8M0;
  if (name == "e4m3") return Scale::kE4M3;
  fail(ErrorKind::kWeight, "scale type '", name, "' is unknown; use fp32, fp16, u8, e8m0 or e4m3");
}

int64_t bytes_of(Scale scale) {
  return scale == Scale::kF32 ? 4 : scale == Scale::kF16 ? 2 : 1;
}

// The data behind `key`, checked to hold `count` items; null for None.
template <typename Array>
auto data_of(const nb::dict& tensor, const char* key, int64_t count, std::vector<nb::object>& owners)
    -> decltype(nb::cast<Array>(nb::object()).data()) {
  const nb::object value = nb::borrow(tensor[key]);
  if (value.is_none()) return nullptr;
  const Array array = nb::cast<Array>(value);
  if (static_cast<int64_t>(array.size()) < count) {
    fail(ErrorKind::kWeight, key, " holds ", array.size(), " items; ", count, " are needed");
  }
  owners.push_back(nb::cast(array));
  return array.data();
}

}  // namespace

Weight weight_type(const std::string& name, std::optional<int64_t> group) {
  if (name == "fp32" && !group) return Weight::kF32;
  if (name == "fp16" && !group) return Weight::kF16;
  if (name == "bf16" && !group) return Weight::kBf16;
  if (name == "int8-paired" && !group) return Weight::kI8Paired;
  if (name == "int8-fours" && !group) return Weight::kI8Fours;
  if (name == "int8") return group ? Weight::kI8Grid : Weight::kI8;
  if (name == "int4" && group) return Weight::kI4Grid;
  if (name == "int2" && group) return Weight::kI2Grid;
  if (name == "fp4" && group) return Weight::kFp4Grid;
  if (name == "trellis2" && group) return Weight::kT2Grid;
  if (name == "trellis3" && group) return Weight::kT3Grid;
  fail(ErrorKind::kWeight, "weight type '", name, "' ",
       group ? "has no groups" : "is unknown or needs a group",
       "; use fp32, fp16, bf16, int8, or int8, int4, int2, fp4, trellis2, trellis3 with a group");
}

GridBuffers::GridBuffers(const nb::dict& tensor, int64_t n, int64_t k, bool row_major) {
  grid.group = nb::cast<int64_t>(tensor["group"]);
  if (grid.group != 0 && grid.group != 16 && grid.group != 32 && grid.group != 64 && grid.group != 128) {
    fail(ErrorKind::kWeight, "group ", grid.group,
         " is not served; use 16, 32, 64, 128, or 0 for a whole row");
  }
  grid.scale_type = scale_type(nb::cast<std::string>(tensor["scale_type"]));
  const int64_t groups = grid.group == 0 ? 1 : ceil_div(k, grid.group);
  const int64_t padded = row_major ? n : round_up(n, qmatmul::kPanel);
  const int64_t scales = padded * groups;
  grid.scales = data_of<Bytes>(tensor, "scales", scales * bytes_of(grid.scale_type), owners);
  grid.outer = data_of<Floats>(tensor, "outer", padded, owners);
  grid.zeros = data_of<Bytes>(tensor, "zero_points", scales, owners);
  const bool needs_outer = grid.scale_type == Scale::kU8 || grid.scale_type == Scale::kE4M3;
  if (grid.scales == nullptr || needs_outer != (grid.outer != nullptr)) {
    fail(ErrorKind::kWeight, "a grid needs scales, and outer scales with u8 and e4m3 alone");
  }
}

}  // namespace arrowmind::bindings
