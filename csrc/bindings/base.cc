#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "bindings/bindings.h"
#include "kernels/registry.h"

namespace arrowmind::bindings {
namespace {

nb::list isas() {
  nb::list list;
  for (const IsaInfo& info : isa_report()) {
    nb::dict row;
    row["name"] = info.name;
    row["detected"] = info.detected;
    row["enabled"] = info.enabled;
    list.append(row);
  }
  return list;
}

// Whether select() takes this row where it has the choice among all rows of its detail: the forced one, else
// the cheapest that may run here.
bool is_chosen(const KernelRow& row, const std::vector<KernelRow>& all) {
  if (!isa_enabled(row.isa)) return false;
  const auto preferred = [](const KernelRow& a) { return kernel_is_forced(a.name) ? -1.0f : a.cost; };
  return std::none_of(all.begin(), all.end(), [&](const KernelRow& other) {
    return other.op == row.op && other.detail == row.detail && isa_enabled(other.isa) &&
           preferred(other) < preferred(row);
  });
}

nb::list kernels() {
  nb::list list;
  const std::vector<KernelRow> all = all_kernels();
  for (const KernelRow& kernel : all) {
    nb::dict row;
    row["op"] = kernel.op;
    row["name"] = kernel.name;
    row["isa"] = isa_name(kernel.isa);
    row["detail"] = kernel.detail;
    row["enabled"] = isa_enabled(kernel.isa);
    row["chosen"] = is_chosen(kernel, all);
    list.append(row);
  }
  return list;
}

void reload_environment() {
  reload_isa_cap();
  reload_forced_kernels();
}

// Calls the Python function for each task, on the threads of the pool: for tests of the pool itself.
void run_python(ThreadPool& pool, int64_t tasks, const nb::callable& body) {
  nb::gil_scoped_release release;
  pool.run(tasks, [&](int64_t task, int worker) {
    nb::gil_scoped_acquire acquire;
    body(task, worker);
  });
}

}  // namespace

void bind_base(nb::module_& m) {
  m.def("isas", &isas, "Instruction sets of this architecture: name, detected, enabled; narrow to wide.");
  m.def("kernels", &kernels, "Every kernel row: op, name, isa, detail, enabled, chosen.");
  m.def("cpu_brand", &cpu_brand, "Name of the processor.");
  m.def("available_cpus", &available_cpus, "Processors this process may use.");
  m.def("reload_environment", &reload_environment,
        "Reads ARROWMIND_MAX_ISA and ARROWMIND_KERNEL again. For tests: not safe beside running kernels.");
  nb::class_<ThreadPool>(m, "ThreadPool",
                         "Threads that share work dynamically; safe under concurrent use and fork.")
      .def(nb::init<int>(), nb::arg("threads"))
      .def_prop_ro("threads", &ThreadPool::threads)
      .def("run", &run_python, nb::arg("tasks"), nb::arg("body"),
           "Calls body(task, worker) once for each task in [0, tasks); the first exception is raised here.");
}

}  // namespace arrowmind::bindings
