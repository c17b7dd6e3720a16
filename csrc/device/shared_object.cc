#include "device/shared_object.h"

#include <dlfcn.h>
#include <sys/stat.h>
#ifdef __linux__
#include <elf.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "device/device.h"

namespace arrowmind::device {
namespace {

// Of the table: up to the functions that may be left out.
constexpr size_t kNeededBytes = offsetof(ArrowmindBackend, allocate_pinned);

#ifdef __linux__
// The loader of Linux maps a truncated file and dies on the missing pages, so each part that it will map is
// looked for first. Everything else about the file is the loader's to refuse.
std::string missing_part(const std::string& path, int64_t size) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header = {};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return "the file is too short";
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    return "the file is no shared object of 64 bits";
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return "the file has a damaged header";
  if (!range_fits(static_cast<int64_t>(header.e_phoff), header.e_phnum * int64_t{sizeof(Elf64_Phdr)}, size) ||
      !file.seekg(static_cast<std::streamoff>(header.e_phoff))) {
    return "the file is truncated";
  }
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part = {};
    if (!file.read(reinterpret_cast<char*>(&part), sizeof part) ||
        !range_fits(static_cast<int64_t>(part.p_offset), static_cast<int64_t>(part.p_filesz), size)) {
      return "the file is truncated";
    }
  }
  return "";
}
#else
std::string missing_part(const std::string&, int64_t) {
  return "";
}
#endif

// Name of a function that a back end must have and this one lacks; empty when it has them all.
const char* lacking(const ArrowmindBackend& b) {
  const std::pair<const char*, bool> needed[] = {
      {"probe", b.probe},
      {"describe", b.describe},
      {"open", b.open},
      {"close", b.close},
      {"memory_info", b.memory_info},
      {"allocate", b.allocate},
      {"release", b.release},
      {"create_stream", b.create_stream},
      {"destroy_stream", b.destroy_stream},
      {"synchronise", b.synchronise},
      {"copy_in", b.copy_in},
      {"copy_out", b.copy_out},
      {"copy_within", b.copy_within},
      {"create_event", b.create_event},
      {"destroy_event", b.destroy_event},
      {"record", b.record},
      {"wait", b.wait},
      {"query", b.query},
      {"elapsed", b.elapsed},
      {"find_kernel", b.find_kernel},
      {"launch", b.launch},
      // What can be taken must be given back.
      {"release_pinned", !b.allocate_pinned || b.release_pinned},
      {"unregister_host", !b.register_host || b.unregister_host},
      {"destroy_graph", !b.make_graph || b.destroy_graph},
      {"run_graph", !b.make_graph || b.run_graph},
  };
  const auto* found = std::ranges::find_if(needed, [](const auto& row) { return !row.second; });
  return found == std::end(needed) ? "" : found->first;
}

std::string refusal_of(const ArrowmindBackend* backend) {
  if (backend == nullptr)
    return cat("it does not speak version ", ARROWMIND_DEVICE_ABI, " of the device interface");
  if (backend->abi != ARROWMIND_DEVICE_ABI) {
    return cat("it speaks version ", backend->abi, " of the device interface, this core ",
               ARROWMIND_DEVICE_ABI);
  }
  if (backend->size < kNeededBytes) {
    return cat("its table has ", backend->size, " bytes, not the ", kNeededBytes, " of version ",
               ARROWMIND_DEVICE_ABI);
  }
  return "";
}

// The table as this core knows it: what a smaller one lacks is null. Lives as long as the process, as back
// ends do.
const ArrowmindBackend& completed(const ArrowmindBackend* backend) {
  static std::mutex mutex;
  static auto* tables = new std::map<const ArrowmindBackend*, ArrowmindBackend>();
  const std::lock_guard lock(mutex);
  ArrowmindBackend& table = (*tables)[backend];
  if (table.size == 0) {
    std::memcpy(&table, backend, std::min<size_t>(backend->size, sizeof table));
    table.size = sizeof table;
  }
  return table;
}

Loaded refused(std::string why) {
  return {.backend = nullptr, .is_absent = false, .refusal = std::move(why)};
}

std::string loader_words() {
  const char* words = dlerror();
  return words == nullptr ? "no reason given" : plain_text(words, std::strlen(words));
}

}  // namespace

Loaded load_backend(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0)
    return {.backend = nullptr, .is_absent = true, .refusal = "no such file"};
  if (!S_ISREG(status.st_mode)) return refused("it is no file");
  if (std::string missing = missing_part(path, status.st_size); !missing.empty())
    return refused(std::move(missing));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refused(loader_words());
  void* symbol = dlsym(library, ARROWMIND_BACKEND_ENTRY);
  if (symbol == nullptr) return refused(cat("it has no function ", ARROWMIND_BACKEND_ENTRY));
  const ArrowmindBackend* backend = nullptr;
  try {
    backend = reinterpret_cast<ArrowmindBackendEntry>(symbol)(ARROWMIND_DEVICE_ABI);
  } catch (...) {
    return refused("it threw an exception");
  }
  std::string refusal = refusal_of(backend);
  if (!refusal.empty()) return refused(std::move(refusal));
  const ArrowmindBackend& table = completed(backend);
  if (const char* name = lacking(table); *name != '\0')
    return refused(cat("its function '", name, "' is missing"));
  return {.backend = &table, .is_absent = false, .refusal = ""};
}

std::string own_folder() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace arrowmind::device
