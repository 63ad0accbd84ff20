#include "proxy/config/compile/access_log_filter.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "proxy/config/compile/rbac.h"
#include "proxy/config/compile/routes.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/observe/format.h"
#include "proxy/route/header_match.h"

namespace weft::config {
namespace {

namespace accesslog_v3 = envoy::config::accesslog::v3;
using observe::LogFilter;
using observe::RequestRecord;
using LogFilterPtr = std::shared_ptr<const LogFilter>;

// Envoy's flags; those that no cause of ours has can be asked for and match nothing.
constexpr std::string_view kFlags[] = {"LH",   "UH",   "UT",   "LR",   "UR", "UF",  "UC", "UO", "NR",  "DI",
                                       "FI",   "RL",   "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE", "UMSDR",
                                       "RFCF", "NFCF", "DT",   "UPE",  "NC", "OM",  "DF", "DO", "DR",  "UDO"};

class Comparison {
 public:
  Comparison(Context& context, const accesslog_v3::ComparisonFilter& filter)
      : op_(filter.op()), value_(runtime_value(context.bootstrap(), filter.value())) {}
  bool holds(int64_t value) const {
    switch (op_) {
      case accesslog_v3::ComparisonFilter::GE:
        return value >= value_;
      case accesslog_v3::ComparisonFilter::LE:
        return value <= value_;
      case accesslog_v3::ComparisonFilter::NE:
        return value != value_;
      default:
        return value == value_;
    }
  }

 private:
  accesslog_v3::ComparisonFilter::Op op_;
  int64_t value_;
};

class StatusFilter final : public LogFilter {
 public:
  explicit StatusFilter(Comparison comparison) : comparison_(comparison) {}
  bool passes(const RequestRecord& record) const override { return comparison_.holds(record.status); }

 private:
  Comparison comparison_;
};

class DurationFilter final : public LogFilter {
 public:
  explicit DurationFilter(Comparison comparison) : comparison_(comparison) {}
  bool passes(const RequestRecord& record) const override {
    return comparison_.holds((record.end_ns - record.start_ns) / 1'000'000);
  }

 private:
  Comparison comparison_;
};

// No filter of ours marks a request as a health check, so that all pass.
class NotHealthCheckFilter final : public LogFilter {
 public:
  bool passes(const RequestRecord&) const override { return true; }
};

class SampleFilter final : public LogFilter {
 public:
  SampleFilter(Fraction fraction, bool independent) : fraction_(fraction), independent_(independent) {}
  bool passes(const RequestRecord& record) const override {
    return draw(record) % fraction_.denominator < fraction_.numerator;
  }

 private:
  // By the request's id, so that all proxies on its way choose the same requests; otherwise from the times and the
  // connection's number, mixed (splitmix64), for a log has no randomness of its own.
  uint64_t draw(const RequestRecord& record) const {
    if (!independent_ && record.request != nullptr) {
      std::string_view id = record.request->headers.value(http::HeaderId::kXRequestId).substr(0, 8);
      uint64_t number = 0;
      auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number, 16);
      if (id.size() == 8 && error == std::errc() && end == id.data() + id.size()) return number;
    }
    uint64_t mixed = static_cast<uint64_t>(record.start_ns) ^ static_cast<uint64_t>(record.end_ns) << 20 ^
                     record.downstream.connection_id << 40;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }

  Fraction fraction_;
  bool independent_;
};

class ListFilter final : public LogFilter {
 public:
  ListFilter(bool all, std::vector<LogFilterPtr> filters) : all_(all), filters_(std::move(filters)) {}
  bool passes(const RequestRecord& record) const override {
    auto passes = [&](const LogFilterPtr& each) { return each->passes(record); };
    return all_ ? std::all_of(filters_.begin(), filters_.end(), passes)
                : std::any_of(filters_.begin(), filters_.end(), passes);
  }

 private:
  bool all_;
  std::vector<LogFilterPtr> filters_;
};

class HeaderFilter final : public LogFilter {
 public:
  explicit HeaderFilter(route::HeaderMatch match) : match_(std::move(match)) {}
  bool passes(const RequestRecord& record) const override {
    if (record.request != nullptr) return route::header_matches(match_, *record.request);
    base::Arena arena;
    return route::header_matches(match_, http::RequestHead(arena));
  }

 private:
  route::HeaderMatch match_;
};

class FlagFilter final : public LogFilter {
 public:
  explicit FlagFilter(std::set<std::string, std::less<>> flags) : flags_(std::move(flags)) {}
  bool passes(const RequestRecord& record) const override {
    std::string text;
    observe::append_response_flags(record, text);
    if (flags_.empty()) return text != "-";
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view flag = rest.substr(0, rest.find(','));
      if (flags_.contains(flag)) return true;
      rest.remove_prefix(std::min(rest.size(), flag.size() + 1));
    }
    return false;
  }

 private:
  std::set<std::string, std::less<>> flags_;
};

class GrpcStatusFilter final : public LogFilter {
 public:
  GrpcStatusFilter(std::set<int> statuses, bool exclude) : statuses_(std::move(statuses)), exclude_(exclude) {}
  bool passes(const RequestRecord& record) const override { return statuses_.contains(status(record)) != exclude_; }

 private:
  static int status(const RequestRecord& record) {
    const http::HeaderMap* heads = record.response == nullptr ? nullptr : &record.response->headers;
    for (const http::HeaderMap* headers : {record.response_trailers, heads}) {
      if (headers == nullptr) continue;
      std::string_view text = headers->value(http::HeaderId::kGrpcStatus);
      int value = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (!text.empty() && error == std::errc() && end == text.data() + text.size()) return value;
    }
    return record.status == 0 ? accesslog_v3::GrpcStatusFilter::UNKNOWN : http::grpc_status_of(record.status);
  }

  std::set<int> statuses_;
  bool exclude_;
};

class MetadataFilter final : public LogFilter {
 public:
  MetadataFilter(rbac::MetadataMatch match, bool without_value)
      : match_(std::move(match)), without_value_(without_value) {}
  bool passes(const RequestRecord& record) const override {
    bool found = record.metadata != nullptr && record.metadata->find(match_.name, match_.path) != nullptr;
    return found ? match_.holds(record.metadata) : without_value_;
  }

 private:
  rbac::MetadataMatch match_;
  bool without_value_;
};

template <typename List>
LogFilterPtr compile_list(Context& context, const List& list, bool all, std::string_view path) {
  std::vector<LogFilterPtr> filters;
  for (int i = 0; i < list.filters_size(); ++i) {
    LogFilterPtr each = compile_log_filter(context, list.filters(i), at(path, "filters", i));
    if (each != nullptr) filters.push_back(std::move(each));
  }
  if (list.filters_size() < 2) context.error(field_path(path, "filters"), "expected at least two");
  return std::make_shared<ListFilter>(all, std::move(filters));
}

LogFilterPtr compile_flags(Context& context, const accesslog_v3::ResponseFlagFilter& filter, std::string_view path) {
  std::set<std::string, std::less<>> flags;
  for (int i = 0; i < filter.flags_size(); ++i) {
    if (std::find(std::begin(kFlags), std::end(kFlags), filter.flags(i)) == std::end(kFlags)) {
      context.error(at(path, "flags", i), text::cat("\"", filter.flags(i), "\" is no response flag"));
    }
    flags.insert(filter.flags(i));
  }
  return std::make_shared<FlagFilter>(std::move(flags));
}

}  // namespace

LogFilterPtr compile_log_filter(Context& context, const accesslog_v3::AccessLogFilter& filter, std::string_view path) {
  using Kind = accesslog_v3::AccessLogFilter;
  auto comparison = [&](const auto& from, std::string_view field) {
    if (!from.comparison().has_value()) {
      context.error(field_path(field_path(path, field), "comparison"), "expected a value to compare with");
    }
    return Comparison(context, from.comparison());
  };
  switch (filter.filter_specifier_case()) {
    case Kind::kStatusCodeFilter:
      return std::make_shared<StatusFilter>(comparison(filter.status_code_filter(), "status_code_filter"));
    case Kind::kDurationFilter:
      return std::make_shared<DurationFilter>(comparison(filter.duration_filter(), "duration_filter"));
    case Kind::kNotHealthCheckFilter:
      return std::make_shared<NotHealthCheckFilter>();
    case Kind::kRuntimeFilter: {
      const auto& sample = filter.runtime_filter();
      if (sample.runtime_key().empty()) {
        context.error(field_path(field_path(path, "runtime_filter"), "runtime_key"), "is empty");
      }
      envoy::config::core::v3::RuntimeFractionalPercent percent;
      percent.set_runtime_key(sample.runtime_key());
      *percent.mutable_default_value() = sample.percent_sampled();
      return std::make_shared<SampleFilter>(runtime_fraction(context.bootstrap(), percent),
                                            sample.use_independent_randomness());
    }
    case Kind::kAndFilter:
      return compile_list(context, filter.and_filter(), true, field_path(path, "and_filter"));
    case Kind::kOrFilter:
      return compile_list(context, filter.or_filter(), false, field_path(path, "or_filter"));
    case Kind::kHeaderFilter:
      return std::make_shared<HeaderFilter>(compile_header_match(
          context, filter.header_filter().header(), field_path(field_path(path, "header_filter"), "header")));
    case Kind::kResponseFlagFilter:
      return compile_flags(context, filter.response_flag_filter(), field_path(path, "response_flag_filter"));
    case Kind::kGrpcStatusFilter: {
      const auto& statuses = filter.grpc_status_filter().statuses();
      return std::make_shared<GrpcStatusFilter>(std::set<int>(statuses.begin(), statuses.end()),
                                                filter.grpc_status_filter().exclude());
    }
    case Kind::kMetadataFilter: {
      const auto& metadata = filter.metadata_filter();
      return std::make_shared<MetadataFilter>(
          compile_metadata_match(context, metadata.matcher(),
                                 field_path(field_path(path, "metadata_filter"), "matcher")),
          WEFT_VALUE_OR(metadata, match_if_key_not_found, true));
    }
    case Kind::FILTER_SPECIFIER_NOT_SET:
      context.error(path, "expected one of the filters");
      return nullptr;
    default:
      return nullptr;  // Reported as unsupported before.
  }
}

}  // namespace weft::config
