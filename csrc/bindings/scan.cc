#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "bindings/bindings.h"
#include "bindings/owned.h"
#include "bindings/scan_search.h"
#include "kernels/scan/rotate.h"
#include "kernels/scan/scan.h"
#include "kernels/scan/signed_sums.h"
#include "kernels/scan/top.h"

namespace arrowmind::bindings {
namespace {

// An INT8 search with its float query turned into codes.
class DotSearch {
 public:
  DotSearch(const Matrix<const int8_t>& codes, const Vector<const float>& scales,
            const Vector<const float>& query, const RowList& rows, const Bitmap& excluded)
      : search_(make_search(scan::Codes::kI8, codes, rows, excluded)) {
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

nb::tuple top_bits(Matrix<const uint8_t> codes, Vector<const uint8_t> query, int64_t top, RowList rows,
                   Bitmap excluded, int threads, std::optional<uint32_t> max_distance) {
  scan::Search search = make_search(scan::Codes::kBits, codes, rows, excluded);
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
  return nb::make_tuple(owned(std::move(best_rows)), owned(std::move(distances)));
}

nb::tuple top_dot(Matrix<const int8_t> codes, Vector<const float> scales, Vector<const float> query,
                  int64_t top, RowList rows, Bitmap excluded, int threads) {
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
  return nb::make_tuple(owned(std::move(best_rows)), owned(std::move(scores)));
}

nb::ndarray<nb::numpy, float> dot_scores(Matrix<const int8_t> codes, Vector<const float> scales,
                                         Vector<const float> query, RowList rows) {
  DotSearch dot(codes, scales, query, rows, std::nullopt);
  std::vector<float> scores(static_cast<size_t>(dot.search().params.count));
  {
    nb::gil_scoped_release release;
    scan::dot_scores(dot.search(), scores.data());
  }
  return owned(std::move(scores));
}

nb::ndarray<nb::numpy, uint8_t> sign_codes(Matrix<const float> vectors, uint64_t seed) {
  const size_t row_bytes = (vectors.shape(1) + 7) / 8;
  std::vector<uint8_t> codes(vectors.shape(0) * row_bytes);
  {
    nb::gil_scoped_release release;
    scan::sign_codes(vectors.data(), static_cast<int64_t>(vectors.shape(0)),
                     static_cast<int64_t>(vectors.shape(1)), seed, codes.data());
  }
  return owned(std::move(codes), {vectors.shape(0), row_bytes});
}

nb::ndarray<nb::numpy, float> rotate(Matrix<const float> vectors, uint64_t seed) {
  const size_t dim = vectors.shape(1);
  std::vector<float> rotated(vectors.size());
  {
    nb::gil_scoped_release release;
    for (size_t i = 0; i < vectors.shape(0); ++i)
      scan::rotate(vectors.data() + i * dim, static_cast<int64_t>(dim), seed, rotated.data() + i * dim);
  }
  return owned(std::move(rotated), {vectors.shape(0), dim});
}

nb::ndarray<nb::numpy, float> signed_sums(Matrix<const uint8_t> codes, Vector<const float> weights) {
  const size_t dim = weights.size();
  require(codes.shape(1) == (dim + 7) / 8, "codes must have a bit for each weight");
  std::vector<float> sums(codes.shape(0));
  {
    nb::gil_scoped_release release;
    scan::signed_sums(codes.data(), static_cast<int64_t>(codes.shape(0)), weights.data(),
                      static_cast<int64_t>(dim), sums.data());
  }
  return owned(std::move(sums));
}

// Runs one named row on this thread: for tests and benchmarks, which own the oracle.
nb::ndarray<nb::numpy, int32_t> run(const std::string& name,
                                    nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu> codes,
                                    nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu> query,
                                    RowList rows, int64_t repeat) {
  const scan::Row& row = kernel_by_name(scan::rows(), name);
  require(codes.itemsize() == 1, "codes must be one byte each");
  require(query.itemsize() == (row.codes == scan::Codes::kBits ? 1u : 2u), "query has another item size");
  require(query.size() == codes.shape(1), "query and codes differ in length");
  const Matrix<const uint8_t> bytes(codes.data(), {codes.shape(0), codes.shape(1)}, nb::handle());
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
  return owned(std::move(out));
}

}  // namespace

void bind_scan(nb::module_& m) {
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
