#include "proxy/config/compile/identity.h"

#include "proxy/config/compile/runtime.h"
#include "weft/v1/hop_metrics.pb.h"

namespace weft::config {
namespace {

using google::protobuf::Struct;

constexpr char kMetadata[] = "weft";
constexpr double kMostSeries = 1'000'000;

std::string text_of(const Struct& fields, const char* name) {
  auto found = fields.fields().find(name);
  return found == fields.fields().end() ? std::string() : found->second.string_value();
}

bool is_set(const Struct& fields, const char* name) {
  auto found = fields.fields().find(name);
  return found != fields.fields().end() && found->second.bool_value();
}

const Struct* weft_metadata(const core_v3::Metadata& metadata) {
  auto found = metadata.filter_metadata().find(kMetadata);
  return found == metadata.filter_metadata().end() ? nullptr : &found->second;
}

observe::WorkloadIdentity own_identity(const core_v3::Node& node) {
  const Struct& fields = node.metadata();
  std::string service = text_of(fields, "service");
  std::string workload = text_of(fields, "workload");
  if (workload.empty()) workload = service;
  std::string account = text_of(fields, "service_account");
  if (account.empty()) account = service;
  return observe::WorkloadIdentity::make(std::move(workload), text_of(fields, "namespace"), std::move(service),
                                         std::move(account));
}

std::shared_ptr<observe::HopMetrics> hop_metrics(Context& context) {
  std::shared_ptr<observe::HopMetrics>& metrics = context.parts().hop_metrics;
  if (metrics != nullptr) return metrics;
  observe::HopMetrics::Options options;
  options.workers = context.workers();
  auto most = runtime_number(context.bootstrap(), "weft.hop_metrics.max_series");
  if (most && *most >= 1 && *most <= kMostSeries) options.max_series = static_cast<size_t>(*most);
  auto idle_s = runtime_number(context.bootstrap(), "weft.hop_metrics.idle_s");
  if (idle_s && *idle_s >= 1) options.idle_ns = static_cast<int64_t>(*idle_s * 1e9);
  metrics = std::make_shared<observe::HopMetrics>(options);
  return metrics;
}

}  // namespace

std::shared_ptr<const observe::WorkloadIdentity> compile_workload_identity(const core_v3::Metadata& metadata) {
  static const auto unnamed =
      std::make_shared<const observe::WorkloadIdentity>(observe::WorkloadIdentity::make("", "", "", ""));
  const Struct* fields = weft_metadata(metadata);
  if (fields == nullptr) return unnamed;
  return std::make_shared<const observe::WorkloadIdentity>(
      observe::WorkloadIdentity::make(text_of(*fields, "workload"), text_of(*fields, "namespace"),
                                      text_of(*fields, "service"), text_of(*fields, "service_account")));
}

std::shared_ptr<const observe::ServiceIdentity> compile_service_identity(const core_v3::Metadata& metadata) {
  const Struct* fields = weft_metadata(metadata);
  if (fields == nullptr) return nullptr;
  return std::make_shared<const observe::ServiceIdentity>(
      observe::ServiceIdentity::make(text_of(*fields, "host"), text_of(*fields, "service"),
                                     text_of(*fields, "namespace"), is_set(*fields, "external")));
}

std::shared_ptr<const observe::HopReporter> compile_hop_metrics(Context& context, const google::protobuf::Any& config,
                                                                std::string_view path) {
  v1::HopMetrics proto;
  if (!context.unpack(config, &proto, path)) return nullptr;
  if (proto.reporter() == v1::HopMetrics::REPORTER_UNSPECIFIED) {
    context.error(field_path(path, "reporter"), "expected SOURCE or DESTINATION");
    return nullptr;
  }
  auto side = proto.reporter() == v1::HopMetrics::SOURCE ? observe::HopSide::kSource : observe::HopSide::kDestination;
  return std::make_shared<const observe::HopReporter>(hop_metrics(context), side,
                                                      own_identity(context.bootstrap().node()));
}

}  // namespace weft::config
