#pragma once

#include "bindings/arrays.h"
#include "kernels/quantise/quantise.h"

namespace arrowmind::bindings {

// Checks the arrays that take codes against the rows they come from. `limit` is checked against the code
// type.
inline quantise::Output quantise_output(std::string_view op, int64_t rows, int64_t width, int64_t item_bytes,
                                        const nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu>& codes,
                                        const Vector<float>& scale, const std::optional<Vector<int32_t>>& sum,
                                        int32_t limit) {
  require(op, static_cast<int64_t>(codes.itemsize()) == item_bytes, "codes have another item size");
  require(op, extent(codes, 0) == rows, "codes and rows differ in number");
  require(op, extent(codes, 1) >= (width + 3) / 4 * 4, "code rows must be padded to a multiple of 4");
  require(op, extent(scale, 0) == rows, "scale has another length");
  require(op, !sum || extent(*sum, 0) == rows, "sum has another length");
  require(op, limit >= 1 && limit <= (item_bytes == 1 ? 127 : 32767), "limit does not fit the codes");
  require(op, limit * width < (int64_t{1} << 31), "rows are too wide for exact sums; lower the limit");
  quantise::Output out;
  out.codes = codes.data();
  out.stride = extent(codes, 1);
  out.scale = scale.data();
  out.sum = sum ? sum->data() : nullptr;
  out.limit = limit;
  return out;
}

}  // namespace arrowmind::bindings
