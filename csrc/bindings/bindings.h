#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace arrowmind::bindings {

namespace nb = nanobind;

// One function per room; module.cc calls them all.
void bind_arrow(nb::module_& m);
void bind_base(nb::module_& m);
void bind_device(nb::module_& m);
void bind_device_plan(nb::module_& m);
void bind_device_weights(nb::module_& m);
void bind_shared_rows(nb::module_& m);
void bind_foreign_linear(nb::module_& m);
void bind_interchange(nb::module_& m);
void bind_lexical(nb::module_& m);
void bind_linear(nb::module_& m);
void bind_qmatmul(nb::module_& m);
void bind_activate(nb::module_& m);
void bind_attention(nb::module_& m);
void bind_cached_attention(nb::module_& m);
void bind_cross_attention(nb::module_& m);
void bind_embed(nb::module_& m);
void bind_norm(nb::module_& m);
void bind_pool(nb::module_& m);
void bind_quantise(nb::module_& m);
void bind_residency(nb::module_& m);
void bind_rope(nb::module_& m);
void bind_route(nb::module_& m);
void bind_scan(nb::module_& m);
void bind_scan_tables(nb::module_& m);
void bind_cache(nb::module_& m);
void bind_plan(nb::module_& m);
void bind_simd(nb::module_& m);
void bind_weight_table(nb::module_& m);
void bind_trellis(nb::module_& m);

}  // namespace arrowmind::bindings
