#pragma once

#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>

#include "bindings/bindings.h"
#include "runtime/on_device/shared_rows.h"
#include "runtime/plan.h"

namespace arrowmind::bindings {

using FloatRows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Offsets = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// What `sequences` sequences look at, checked: each has at least one row. Nothing where `rows` is None.
std::optional<runtime::Memory> memory_of(const std::optional<FloatRows>& rows,
                                         const std::optional<Offsets>& offsets, int64_t sequences);

// The same of rows on a device, or of none where `rows` is null.
std::optional<runtime::Memory> memory_there(const std::shared_ptr<runtime::SharedRows>& rows,
                                            const std::optional<Offsets>& offsets, int64_t sequences);

// Operators that encoders of images and sound have beside those of encoders of text.
void bind_plan_senses(nb::class_<runtime::Plan>& plan);

}  // namespace arrowmind::bindings
