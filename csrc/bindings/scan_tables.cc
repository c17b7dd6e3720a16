#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/owned.h"
#include "bindings/scan_search.h"

namespace arrowmind::bindings {
namespace {

// Tables that are searched as if they were one; row numbers go on from each to the next.
class Tables {
 public:
  using Signs = std::optional<Matrix<const uint8_t>>;

  Tables(const std::vector<Matrix<const int8_t>>& codes, const std::vector<Vector<const float>>& scales,
         const std::vector<Signs>& signs, nb::object owner)
      : owner_(std::move(owner)) {
    require(codes.size() == scales.size() && codes.size() == signs.size(), "tables differ in columns");
    for (size_t i = 0; i < codes.size(); ++i) add(codes[i], scales[i], signs[i]);
  }

  // Of the tables with signs.
  nb::tuple top_bits(Vector<const uint8_t> query, int64_t top, std::vector<Bitmap> excluded,
                     int threads) const {
    const std::vector<scan::Search> parts = bit_searches(query, top, excluded);
    std::vector<uint32_t> rows;
    std::vector<int32_t> distances;
    {
      nb::gil_scoped_release release;
      for (const scan::Ranked ranked : scan::top_rows(parts, pool_of(threads))) {
        rows.push_back(scan::row_of(ranked));
        distances.push_back(scan::distance_of(ranked));
      }
    }
    return nb::make_tuple(owned(std::move(rows)), owned(std::move(distances)));
  }

  // Numbers of the same rows, ascending.
  nb::ndarray<nb::numpy, int64_t> near_bits(Vector<const uint8_t> query, int64_t top,
                                            std::vector<Bitmap> excluded, int threads) const {
    const std::vector<scan::Search> parts = bit_searches(query, top, excluded);
    std::vector<int64_t> rows;
    {
      nb::gil_scoped_release release;
      const std::vector<uint32_t> found = scan::near_rows(parts, pool_of(threads));
      rows.assign(found.begin(), found.end());
    }
    return owned(std::move(rows));
  }

  nb::ndarray<nb::numpy, float> dot(Vector<const float> query, Vector<const int64_t> rows,
                                    int threads) const {
    const int64_t count = static_cast<int64_t>(rows.size());
    std::vector<float> scores(rows.size());
    if (count == 0) return owned(std::move(scores));
    for (int64_t i = 0; i < count; ++i) {
      require(rows.data()[i] >= 0 && rows.data()[i] < starts_.back(), "a row number is out of range");
      require(!has_bare_ || tables_[table_of(rows.data()[i])].codes != nullptr, "a row has no int8 codes");
    }
    require(static_cast<int64_t>(query.size()) == dim_, "query and codes differ in dimension");
    std::vector<int16_t> codes(static_cast<size_t>(round_up(dim_, scan::kQueryPad)));
    scan::Search search;
    search.codes = scan::Codes::kI8;
    search.query_scale = scan::quantise_query(query.data(), dim_, codes.data());
    search.params.row_bytes = dim_;
    search.params.query = codes.data();
    constexpr int64_t kTask = 256;  // rows a thread takes at once
    {
      nb::gil_scoped_release release;
      pool_of(threads).run(ceil_div(count, kTask), [&](int64_t task, int) {
        dot_part(search, rows.data(), task * kTask, std::min((task + 1) * kTask, count), scores.data());
      });
    }
    return owned(std::move(scores));
  }

 private:
  std::vector<scan::Search> bit_searches(const Vector<const uint8_t>& query, int64_t top,
                                         const std::vector<Bitmap>& excluded) const {
    require(excluded.size() == tables_.size(), "excluded needs one bitmap or None for each table");
    std::vector<scan::Search> parts;
    for (size_t i = 0; i < tables_.size(); ++i) {
      const Table& table = tables_[i];
      if (table.signs.data() == nullptr) continue;
      scan::Search search = make_search(scan::Codes::kBits, table.signs, std::nullopt, excluded[i]);
      require(static_cast<int64_t>(query.size()) == search.params.row_bytes,
              "query and codes differ in bytes");
      search.params.query = query.data();
      search.top = top;
      search.offset = static_cast<uint32_t>(starts_[i]);
      parts.push_back(search);
    }
    return parts;
  }

  // Views; `owner_` keeps what they show.
  struct Table {
    const int8_t* codes;
    const float* scales;
    Matrix<const uint8_t> signs;
  };

  void add(const Matrix<const int8_t>& codes, const Vector<const float>& scales, const Signs& signs) {
    const size_t rows = scales.size();
    if (tables_.empty()) dim_ = static_cast<int64_t>(codes.shape(1));
    require(static_cast<int64_t>(codes.shape(1)) == dim_ && dim_ <= scan::kMaxRowBytes,
            "tables differ in dimension, or have more than 65536");
    require(codes.shape(0) == rows || codes.shape(0) == 0, "scales and codes differ in rows");
    const bool is_bare = codes.shape(0) < rows;  // one-bit codes alone: it has rows for `top_bits` only
    has_bare_ = has_bare_ || is_bare;
    require(!signs || signs->shape(0) == rows, "signs and codes differ in rows");
    starts_.push_back(starts_.back() + static_cast<int64_t>(rows));
    require(starts_.back() <= int64_t{0xffffffff}, "more than 2^32 - 1 rows; search them in parts");
    Matrix<const uint8_t> view;
    if (signs) view = Matrix<const uint8_t>(signs->data(), {rows, signs->shape(1)}, nb::handle());
    tables_.push_back({is_bare ? nullptr : codes.data(), scales.data(), view});
  }

  // Rows of one table that follow each other in the list go to the kernel together.
  void dot_part(scan::Search search, const int64_t* rows, int64_t begin, int64_t end, float* scores) const {
    std::vector<uint32_t> own;
    while (begin < end) {
      const size_t table = table_of(rows[begin]);
      own.clear();
      for (int64_t i = begin; i < end && rows[i] >= starts_[table] && rows[i] < starts_[table + 1]; ++i) {
        own.push_back(static_cast<uint32_t>(rows[i] - starts_[table]));
      }
      search.params.codes = reinterpret_cast<const uint8_t*>(tables_[table].codes);
      search.params.rows = own.data();
      search.params.count = static_cast<int64_t>(own.size());
      search.scales = tables_[table].scales;
      scan::dot_scores(search, scores + begin);
      begin += search.params.count;
    }
  }

  size_t table_of(int64_t row) const {
    const auto above = std::upper_bound(starts_.begin(), starts_.end(), row);
    return static_cast<size_t>(above - starts_.begin()) - 1;
  }

  nb::object owner_;
  int64_t dim_ = 0;
  bool has_bare_ = false;
  std::vector<Table> tables_;
  std::vector<int64_t> starts_ = {0};
};

}  // namespace

void bind_scan_tables(nb::module_& m) {
  nb::class_<Tables>(
      m, "ScanTables",
      "Tables int8 [n, dim] with float32 scales [n] and uint8 signs [n, bytes] or None, which are "
      "searched as if they were one: row numbers go on from each to the next.")
      .def(
          "__init__",
          [](Tables* self, const nb::list& codes, const nb::list& scales, const nb::list& signs) {
            // Tuples of their own: the arrays must stay, whatever becomes of the lists.
            nb::object owner = nb::make_tuple(nb::tuple(codes), nb::tuple(scales), nb::tuple(signs));
            try {
              new (self) Tables(nb::cast<std::vector<Matrix<const int8_t>>>(owner[0], false),
                                nb::cast<std::vector<Vector<const float>>>(owner[1], false),
                                nb::cast<std::vector<Tables::Signs>>(owner[2], false), owner);
            } catch (const nb::cast_error&) {
              throw nb::type_error(
                  "ScanTables takes C-ordered int8 codes, float32 scales, uint8 signs or None");
            }
          },
          nb::arg("codes"), nb::arg("scales"), nb::arg("signs"))
      .def("top_bits", &Tables::top_bits, nb::arg("query"), nb::arg("top"), nb::arg("excluded"),
           nb::arg("threads") = 1,
           "As `scan_top_bits`, over the tables with signs; `excluded`: a bitmap or None for each table.")
      .def("near_bits", &Tables::near_bits, nb::arg("query"), nb::arg("top"), nb::arg("excluded"),
           nb::arg("threads") = 1, "Numbers int64 of the rows that `top_bits` finds, ascending.")
      .def("dot", &Tables::dot, nb::arg("query"), nb::arg("rows"), nb::arg("threads") = 1,
           "As `scan_dot`, of int64 `rows`; ascending ones are read fastest.");
}

}  // namespace arrowmind::bindings
