#pragma once

// The kernels of the sources compiled for fibers, by name; each says how it is called with a device's
// arguments.

#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

namespace arrowmind::on_host {

// `arguments` point to the values of the parameters, in order, as drivers take them.
using Call = void (*)(void (*kernel)(), void* const* arguments);

struct Registered {
  const char* name;
  uint32_t most_threads;
  void (*kernel)();
  Call call;
  std::vector<size_t> sizes;  // of the arguments
  const Registered* next;

  template <class... Arguments>
  Registered(const char* own_name, uint32_t threads, void (*own)(Arguments...))
      : name(own_name),
        most_threads(threads),
        kernel(reinterpret_cast<void (*)()>(own)),
        sizes{sizeof(Arguments)...},
        next(first()) {
    call = [](void (*of)(), void* const* arguments) {
      std::tuple<Arguments...> values;
      [&]<size_t... i>(std::index_sequence<i...>) {
        (std::memcpy(&std::get<i>(values), arguments[i], sizeof(std::get<i>(values))), ...);
      }(std::index_sequence_for<Arguments...>());
      std::apply(reinterpret_cast<void (*)(Arguments...)>(of), values);
    };
    first() = this;
  }

  static const Registered*& first() {
    static const Registered* head = nullptr;
    return head;
  }
};

}  // namespace arrowmind::on_host
