#pragma once

#include <utility>  // std::integer_sequence: types only, no code

#include "kernels/qmatmul/blocking.h"

namespace arrowmind::ARROWMIND_ISA {

// Every register tile of a Form, by its number of rows. Several row tiles only follow one another with at
// least half of Form::kRows each (EvenSplit), so decoded panels need no smaller ones, unless a form always
// decodes.
template <class Form, int... kIndex>
struct Tiles {
  // Up to how many rows a form that otherwise always decodes has tiles for packed panels.
  static constexpr int packed_rows() {
    if constexpr (requires { Form::kPackedRows; }) return Form::kPackedRows;
    return 0;
  }
  template <int R, int P>
  static constexpr Tile<Form> decoded() {
    if constexpr (Form::kDecodes && (R >= Form::kRows / 2 || Form::kAlwaysDecodes)) {
      return &Form::template run_tile<R, P, true>;
    } else {
      return nullptr;
    }
  }
  template <int R, int P>
  static constexpr Tile<Form> packed() {
    if constexpr (Form::kAlwaysDecodes && R > packed_rows()) {
      return nullptr;
    } else {
      return &Form::template run_tile<R, P, false>;
    }
  }
  static constexpr Tile<Form> kOne[] = {packed<kIndex + 1, 1>()...};
  static constexpr Tile<Form> kWide[] = {packed<kIndex + 1, Form::panels(kIndex + 1)>()...};
  static constexpr Tile<Form> kDecodedOne[] = {decoded<kIndex + 1, 1>()...};
  static constexpr Tile<Form> kDecodedWide[] = {decoded<kIndex + 1, Form::panels(kIndex + 1)>()...};
};

template <class Form, int... kIndex>
inline Tile<Form> pick_tile(std::integer_sequence<int, kIndex...> /*rows*/, int64_t rows, int64_t panels,
                            bool is_decoded) {
  using All = Tiles<Form, kIndex...>;
  const auto& table = is_decoded ? (panels == 1 ? All::kDecodedOne : All::kDecodedWide)
                                 : (panels == 1 ? All::kOne : All::kWide);
  return table[rows - 1];
}

template <class Form>
inline Tile<Form> pick_tile(int64_t rows, int64_t panels, bool is_decoded) {
  return pick_tile<Form>(std::make_integer_sequence<int, Form::kRows>{}, rows, panels, is_decoded);
}

}  // namespace arrowmind::ARROWMIND_ISA
