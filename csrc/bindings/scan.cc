#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/checked.h"
#include "bindings/bindings.h"
#include "kernels/scan/rotate.h"
#include "kernels/scan/scan.h"
#include "kernels/scan/signed_sums.h"
#include "kernels/scan/top.h"

namespace arrowmind::bindings {
namespace {

using scan::Codes;

template <typename T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using RowList = std::optional<Vector<uint32_t>>;
using Bitmap = std::optional<Vector<uint8_t>>;

void require(bool condition, const char* what) {
  if (!condition) fail(ErrorKind::kInvalidArgument, "[scan] ", what);
}

template <typename T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T>&& values) {
  auto* moved = new std::vector<T>(std::move(values));
  nb::capsule owner(moved, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {moved->data(), {moved->size()}, owner};
}

// One pool for each thread count ever asked for, kept until the process ends: a search must not pay for
// starting threads, and callers on many Python threads share them.
ThreadPool& pool_of(int threads) {
  static std::mutex mutex;
  static auto* pools = new std::map<int, std::unique_ptr<ThreadPool>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<ThreadPool>& pool = (*pools)[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

// Codes [n, row_bytes] with what is asked of them; checks everything a kernel takes on trust.
template <typename T>
scan::Search make_search(Codes form, const Matrix<T>& codes, const RowList& rows, const Bitmap& excluded) {
  const int64_t n = static_cast<int64_t>(codes.shape(0));
  require(n <= int64_t{0xffffffff}, "more than 2^32 - 1 rows; search them in parts");
  require(static_cast<int64_t>(codes.shape(1)) <= scan::kMaxRowBytes, "rows are longer than 65536 bytes");
  require(!excluded || static_cast<int64_t>(excluded->size()) >= ceil_div(n, 8), "excluded has too few bits");
  if (rows) {
    for (size_t i = 0; i < rows->size(); ++i) require(rows->data()[i] < n, "a row number is out of range");
  }
  scan::Search search;
  search.codes = form;
  search.params.codes = reinterpret_cast<const uint8_t*>(codes.data());
  search.params.row_bytes = static_cast<int64_t>(codes.shape(1));
  search.params.rows = rows ? rows->data() : nullptr;
  search.params.count = rows ? static_cast<int64_t>(rows->size()) : n;
  search.excluded = excluded ? excluded->data() : nullptr;
  return search;
}

// An INT8 search with its float query turned into codes.
class DotSearch {
 public:
  DotSearch(const Matrix<int8_t>& codes, const Vector<float>& scales, const Vector<float>& query,
            const RowList& rows, const Bitmap& excluded)
      : search_(make_search(Codes::kI8, codes, rows, excluded)) {
    const int64_t dim = search_.params.row_bytes;
    require(static_cast<int64_t>(query.size()) == dim, "query and codes differ in dimension");
    require(scales.size() == codes.shape(0), "scales and codes differ in rows");
    query_.resize(static_cast<size_t>(round_up(dim, scan::kQueryPad)));
    search_.query_scale = scan::quantise_query(query.data(), dim, query_.data());
    search_.params.query = query_.data();
    search_.scales = scales.data();
  }

  scan::Search& search() { return search_; }

 private:
  scan::Search search_;
  std::vector<int16_t> query_;
};

nb::tuple top_bits(Matrix<uint8_t> codes, Vector<uint8_t> query, int64_t top, RowList rows, Bitmap excluded,
                   int threads, std::optional<uint32_t> max_distance) {
  scan::Search search = make_search(Codes::kBits, codes, rows, excluded);
  require(static_cast<int64_t>(query.size()) == search.params.row_bytes, "query and codes differ in bytes");
  search.params.query = query.data();
  search.top = top;
  if (max_distance) search.max_distance = *max_distance;
  std::vector<uint32_t> best_rows;
  std::vector<int32_t> distances;
  {
    nb::gil_scoped_release release;
    for (const scan::Ranked ranked : scan::top_rows(search, pool_of(threads))) {
      best_rows.push_back(scan::row_of(ranked));
      distances.push_back(scan::distance_of(ranked));
    }
  }
  return nb::make_tuple(to_numpy(std::move(best_rows)), to_numpy(std::move(distances)));
}

// Tables that are searched as if they were one; row numbers go on from each to the next.
class Tables {
 public:
  using Signs = std::optional<Matrix<uint8_t>>;

  Tables(const std::vector<Matrix<int8_t>>& codes, const std::vector<Vector<float>>& scales,
         const std::vector<Signs>& signs, nb::object owner)
      : owner_(std::move(owner)) {
    require(codes.size() == scales.size() && codes.size() == signs.size(), "tables differ in columns");
    for (size_t i = 0; i < codes.size(); ++i) add(codes[i], scales[i], signs[i]);
  }

  // Of the tables with signs.
  nb::tuple top_bits(Vector<uint8_t> query, int64_t top, std::vector<Bitmap> excluded, int threads) const {
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
    return nb::make_tuple(to_numpy(std::move(rows)), to_numpy(std::move(distances)));
  }

  // Numbers of the same rows, ascending.
  nb::ndarray<nb::numpy, int64_t> near_bits(Vector<uint8_t> query, int64_t top, std::vector<Bitmap> excluded,
                                            int threads) const {
    const std::vector<scan::Search> parts = bit_searches(query, top, excluded);
    std::vector<int64_t> rows;
    {
      nb::gil_scoped_release release;
      const std::vector<uint32_t> found = scan::near_rows(parts, pool_of(threads));
      rows.assign(found.begin(), found.end());
    }
    return to_numpy(std::move(rows));
  }

  nb::ndarray<nb::numpy, float> dot(Vector<float> query, Vector<int64_t> rows, int threads) const {
    const int64_t count = static_cast<int64_t>(rows.size());
    std::vector<float> scores(rows.size());
    if (count == 0) return to_numpy(std::move(scores));
    for (int64_t i = 0; i < count; ++i) {
      require(rows.data()[i] >= 0 && rows.data()[i] < starts_.back(), "a row number is out of range");
      require(!has_bare_ || tables_[table_of(rows.data()[i])].codes != nullptr, "a row has no int8 codes");
    }
    require(static_cast<int64_t>(query.size()) == dim_, "query and codes differ in dimension");
    std::vector<int16_t> codes(static_cast<size_t>(round_up(dim_, scan::kQueryPad)));
    scan::Search search;
    search.codes = Codes::kI8;
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
    return to_numpy(std::move(scores));
  }

 private:
  std::vector<scan::Search> bit_searches(const Vector<uint8_t>& query, int64_t top,
                                         const std::vector<Bitmap>& excluded) const {
    require(excluded.size() == tables_.size(), "excluded needs one bitmap or None for each table");
    std::vector<scan::Search> parts;
    for (size_t i = 0; i < tables_.size(); ++i) {
      const Table& table = tables_[i];
      if (table.signs.data() == nullptr) continue;
      scan::Search search = make_search(Codes::kBits, table.signs, std::nullopt, excluded[i]);
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
    Matrix<uint8_t> signs;
  };

  void add(const Matrix<int8_t>& codes, const Vector<float>& scales, const Signs& signs) {
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
    Matrix<uint8_t> view;
    if (signs) view = Matrix<uint8_t>(signs->data(), {rows, signs->shape(1)}, nb::handle());
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

nb::tuple top_dot(Matrix<int8_t> codes, Vector<float> scales, Vector<float> query, int64_t top, RowList rows,
                  Bitmap excluded, int threads) {
  DotSearch dot(codes, scales, query, rows, excluded);
  dot.search().top = top;
  std::vector<uint32_t> best_rows;
  std::vector<float> scores;
  {
    nb::gil_scoped_release release;
    for (const scan::Ranked ranked : scan::top_rows(dot.search(), pool_of(threads))) {
      best_rows.push_back(scan::row_of(ranked));
      scores.push_back(scan::score_of(ranked));
    }
  }
  return nb::make_tuple(to_numpy(std::move(best_rows)), to_numpy(std::move(scores)));
}

nb::ndarray<nb::numpy, float> dot_scores(Matrix<int8_t> codes, Vector<float> scales, Vector<float> query,
                                         RowList rows) {
  DotSearch dot(codes, scales, query, rows, std::nullopt);
  std::vector<float> scores(static_cast<size_t>(dot.search().params.count));
  {
    nb::gil_scoped_release release;
    scan::dot_scores(dot.search(), scores.data());
  }
  return to_numpy(std::move(scores));
}

nb::ndarray<nb::numpy, uint8_t> sign_codes(Matrix<float> vectors, uint64_t seed) {
  const size_t row_bytes = (vectors.shape(1) + 7) / 8;
  std::vector<uint8_t> codes(vectors.shape(0) * row_bytes);
  {
    nb::gil_scoped_release release;
    scan::sign_codes(vectors.data(), static_cast<int64_t>(vectors.shape(0)),
                     static_cast<int64_t>(vectors.shape(1)), seed, codes.data());
  }
  auto* moved = new std::vector<uint8_t>(std::move(codes));
  nb::capsule owner(moved, [](void* p) noexcept { delete static_cast<std::vector<uint8_t>*>(p); });
  return {moved->data(), {vectors.shape(0), row_bytes}, owner};
}

nb::ndarray<nb::numpy, float> rotate(Matrix<float> vectors, uint64_t seed) {
  const size_t dim = vectors.shape(1);
  auto* rotated = new std::vector<float>(vectors.size());
  nb::capsule owner(rotated, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  {
    nb::gil_scoped_release release;
    for (size_t i = 0; i < vectors.shape(0); ++i)
      scan::rotate(vectors.data() + i * dim, static_cast<int64_t>(dim), seed, rotated->data() + i * dim);
  }
  return {rotated->data(), {vectors.shape(0), dim}, owner};
}

nb::ndarray<nb::numpy, float> signed_sums(Matrix<uint8_t> codes, Vector<float> weights) {
  const size_t dim = weights.size();
  require(codes.shape(1) == (dim + 7) / 8, "codes must have a bit for each weight");
  std::vector<float> sums(codes.shape(0));
  {
    nb::gil_scoped_release release;
    scan::signed_sums(codes.data(), static_cast<int64_t>(codes.shape(0)), weights.data(),
                      static_cast<int64_t>(dim), sums.data());
  }
  return to_numpy(std::move(sums));
}

// Runs one named row on this thread: for tests and benchmarks, which own the oracle.
nb::ndarray<nb::numpy, int32_t> run(const std::string& name,
                                    nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu> codes,
                                    nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu> query,
                                    RowList rows, int64_t repeat) {
  const scan::Row& row = kernel_by_name(scan::rows(), name);
  require(codes.itemsize() == 1, "codes must be one byte each");
  require(query.itemsize() == (row.codes == Codes::kBits ? 1u : 2u), "query has another item size");
  require(query.size() == codes.shape(1), "query and codes differ in length");
  const Matrix<uint8_t> bytes(codes.data(), {codes.shape(0), codes.shape(1)}, nb::handle());
  scan::Params p = make_search(row.codes, bytes, rows, std::nullopt).params;
  const int64_t padded = round_up(p.row_bytes, scan::kQueryPad);
  std::vector<uint8_t> padded_query(static_cast<size_t>(padded) * query.itemsize());
  std::copy_n(static_cast<const uint8_t*>(query.data()), query.nbytes(), padded_query.data());
  std::vector<int32_t> out(static_cast<size_t>(p.count));
  p.query = padded_query.data();
  p.out = out.data();
  {
    nb::gil_scoped_release release;
    for (int64_t i = 0; i < repeat; ++i) row.run(p);
  }
  return to_numpy(std::move(out));
}

}  // namespace

void bind_scan(nb::module_& m) {
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
              new (self) Tables(nb::cast<std::vector<Matrix<int8_t>>>(owner[0], false),
                                nb::cast<std::vector<Vector<float>>>(owner[1], false),
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
  m.def(
      "scan_top_bits", &top_bits, nb::arg("codes"), nb::arg("query"), nb::arg("top"),
      nb::arg("rows") = nb::none(), nb::arg("excluded") = nb::none(), nb::arg("threads") = 1,
      nb::arg("max_distance") = nb::none(),
      "The `top` rows of uint8 codes [n, bytes] nearest to `query` [bytes] in Hamming distance: (rows "
      "uint32, "
      "distances int32), nearest first, lower row first among equals. `rows`: search only these; `excluded`: "
      "bitmap of rows to skip, lowest bit first; `max_distance`: pass over rows farther than this.");
  m.def("scan_top_dot", &top_dot, nb::arg("codes"), nb::arg("scales"), nb::arg("query"), nb::arg("top"),
        nb::arg("rows") = nb::none(), nb::arg("excluded") = nb::none(), nb::arg("threads") = 1,
        "The `top` rows of int8 codes [n, dim] with the highest scales[i] * dot(codes[i], query): (rows "
        "uint32, "
        "scores float32), highest first, lower row first among equals.");
  m.def("scan_dot", &dot_scores, nb::arg("codes"), nb::arg("scales"), nb::arg("query"),
        nb::arg("rows") = nb::none(), "scales[i] * dot(codes[i], query) of `rows`, or of all rows: float32.");
  m.def("scan_sign_codes", &sign_codes, nb::arg("vectors"), nb::arg("seed"),
        "One-bit codes uint8 [n, (dim + 7) / 8] of float32 vectors [n, dim], rotated by the rotation of "
        "`seed`.");
  m.def("scan_rotate", &rotate, nb::arg("vectors"), nb::arg("seed"),
        "Vectors float32 [n, dim], rotated as `scan_sign_codes` does before it takes signs.");
  m.def("scan_signed_sums", &signed_sums, nb::arg("codes"), nb::arg("weights"),
        "Sums float32 [n] of `weights` [dim], each taken from zero where its bit of a uint8 code [n, (dim + "
        "7) / "
        "8] is not set.");
  m.def("scan_query_limit", &scan::query_limit, nb::arg("dim"),
        "Largest int16 query code whose dot product with `dim` int8 codes cannot overflow int32.");
  m.def("scan_run", &run, nb::arg("name"), nb::arg("codes"), nb::arg("query"), nb::arg("rows") = nb::none(),
        nb::arg("repeat") = 1,
        "Runs the named kernel row over codes [n, row_bytes] on this thread: int32 [n]; for tests and "
        "benchmarks.");
}

}  // namespace arrowmind::bindings
