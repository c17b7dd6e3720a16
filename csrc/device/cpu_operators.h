#pragma once

#include <span>

#include "device/cpu_kernels.h"

namespace arrowmind::device {

// The kernels of models on the cpu device (device/kernels.h): those that plans run on the CPU, so that both
// give the same bits.
std::span<const CpuKernelRow> cpu_operators();
std::span<const CpuKernelRow> cpu_linears();
std::span<const CpuKernelRow> cpu_decoders();
std::span<const CpuKernelRow> cpu_senses();
std::span<const CpuKernelRow> cpu_pages();
std::span<const CpuKernelRow> cpu_candidates();

}  // namespace arrowmind::device
