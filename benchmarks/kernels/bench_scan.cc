// scan: every stored code against one query, more codes than the caches hold; and the selection on top.

#include "base/thread_pool.h"
#include "float_rows.h"
#include "kernels/scan/scan.h"
#include "kernels/scan/top.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kDimension = 384;

using scan::Codes;

class Store {
 public:
  explicit Store(Codes codes)
      : codes_(codes),
        row_bytes_(codes == Codes::kBits ? kDimension / 8 : kDimension),
        rows_(4 * last_level_cache() / row_bytes_),
        data_(rows_ * row_bytes_),
        query_(kDimension * 2),
        scales_(rows_ * 4),
        out_(rows_ * 4) {
    std::minstd_rand random{1};
    for (int64_t i = 0; i < rows_ * row_bytes_; ++i) data_.as<uint8_t>()[i] = static_cast<uint8_t>(random());
    for (int64_t i = 0; i < kDimension * 2; ++i) query_.as<uint8_t>()[i] = static_cast<uint8_t>(random());
    for (int64_t i = 0; i < rows_; ++i) scales_.as<float>()[i] = 0.001f * static_cast<float>(i % 7 + 1);
    if (codes == Codes::kI8) shorten_query();
  }

  Result result(const char* kernel) const {
    Result result;
    result.op = "scan";
    result.kernel = kernel;
    result.shape = cat(rows_ / 1000, "k x ", kDimension);
    result.bytes = static_cast<double>(rows_ * row_bytes_);
    return result;
  }

  scan::Params params() {
    scan::Params p;
    p.codes = data_.as<uint8_t>();
    p.row_bytes = row_bytes_;
    p.query = query_.as<void>();
    p.count = rows_;
    p.out = out_.as<int32_t>();
    return p;
  }

  scan::Search search(int64_t top) {
    scan::Search search;
    search.codes = codes_;
    search.params = params();
    search.scales = scales_.as<float>();
    search.top = top;
    return search;
  }

  std::string output() { return {out_.as<char>(), static_cast<size_t>(rows_) * 4}; }
  int64_t bytes() const { return rows_ * row_bytes_; }

 private:
  void shorten_query() {
    const int32_t limit = scan::query_limit(kDimension);
    for (int64_t i = 0; i < kDimension; ++i) {
      query_.as<int16_t>()[i] = static_cast<int16_t>(query_.as<int16_t>()[i] % limit);
    }
  }

  Codes codes_;
  int64_t row_bytes_, rows_;
  AlignedBuffer data_, query_, scales_, out_;
};

void measure(Report& report, Store& store, Result result, int threads, const std::function<void()>& call) {
  result.threads = threads;
  result.limit = cat("read_", threads, "t");
  const double before = measure_read(store.bytes(), threads);
  result.timing = time_calls(report.options.seconds, call);
  result.limit_value = std::max(before, measure_read(store.bytes(), threads));
  report.add(result);
}

void bench_rows_of(Report& report, Store& store, Codes codes) {
  std::string expected;
  for (const scan::Row& row : scan::rows()) {
    const bool chosen = row.row.name.find(report.options.filter) != std::string_view::npos;
    if (row.codes != codes || !isa_enabled(row.row.isa)) continue;
    const bool is_oracle = row.row.isa == Isa::kScalar;
    if (!is_oracle && !chosen) continue;
    row.run(store.params());
    if (is_oracle) {
      expected = store.output();
      continue;
    }
    if (store.output() != expected) fail(ErrorKind::kKernel, row.row.name, " differs from the scalar row");
    measure(report, store, store.result(std::string(row.row.name).c_str()), 1,
            [&] { row.run(store.params()); });
  }
}

void bench_selection(Report& report, Store& store, Codes codes) {
  const char* name = codes == Codes::kBits ? "top 1000 of bits" : "top 100 of int8";
  if (std::string_view(name).find(report.options.filter) == std::string_view::npos) return;
  for (int threads = 1; threads <= report.options.threads; ++threads) {
    ThreadPool pool(threads);
    const scan::Search search = store.search(codes == Codes::kBits ? 1000 : 100);
    measure(report, store, store.result(name), threads, [&] { keep(scan::top_rows(search, pool).data()); });
  }
}

void run(Report& report) {
  for (const Codes codes : {Codes::kBits, Codes::kI8}) {
    Store store(codes);
    bench_rows_of(report, store, codes);
    bench_selection(report, store, codes);
  }
}

const Registration op("scan", run);

}  // namespace
}  // namespace arrowmind::bench
