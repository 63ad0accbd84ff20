#include "proxy/config/compile/resource.h"

#include "absl/strings/str_join.h"
#include "api/text/unsupported.h"
#include "proxy/base/log.h"
#include "proxy/config/compile/cluster.h"
#include "proxy/config/compile/endpoints.h"
#include "proxy/config/compile/listener.h"
#include "proxy/config/compile/routes.h"
#include "proxy/config/supported/supported.h"

namespace weft::config {
namespace {

// A resource of type M while it is compiled.
template <typename M>
class Reading {
 public:
  Reading(SharedParts& parts, const google::protobuf::Any& body) : context_(parts, positions_) {
    if (!context_.unpack(body, &message_, "")) return;
    for (text::Unsupported& each : text::find_unsupported(message_, supported_fields())) {
      context_.unsupported("", each.message);
    }
  }
  const M& message() const { return message_; }
  Context& context() { return context_; }
  void expect_name(const std::string& own, const std::string& name, std::string_view field) {
    if (own != name) context_.error(field, text::cat("expected \"", name, "\", got \"", own, "\""));
  }
  absl::Status status(const std::string& name) const {
    if (!context_.refused().empty() && !context_.parts().options.allow_unsupported) {
      return absl::InvalidArgumentError(absl::StrJoin(context_.refused(), "\n"));
    }
    for (const std::string& each : context_.refused()) base::log_warning(text::cat(name, ": ", each));
    if (context_.errors().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(context_.errors(), "\n"));
  }

 private:
  text::PositionMap positions_;
  Context context_;
  M message_;
};

}  // namespace

absl::StatusOr<cluster::ClusterPtr> compile_cluster_resource(SharedParts& parts, const std::string& name,
                                                             const google::protobuf::Any& body) {
  Reading<cluster_v3::Cluster> reading(parts, body);
  if (!reading.context().errors().empty()) return reading.status(name);
  reading.expect_name(reading.message().name(), name, "name");
  cluster::ClusterPtr cluster = compile_cluster(reading.context(), reading.message(), "");
  absl::Status status = reading.status(name);
  if (!status.ok()) return status;
  return cluster;
}

absl::StatusOr<HostLists> compile_endpoints_resource(SharedParts& parts, const std::string& name,
                                                     const google::protobuf::Any& body) {
  Reading<endpoint_v3::ClusterLoadAssignment> reading(parts, body);
  if (!reading.context().errors().empty()) return reading.status(name);
  reading.expect_name(reading.message().cluster_name(), name, "cluster_name");
  HostLists hosts = compile_hosts(reading.context(), reading.message(), "");
  absl::Status status = reading.status(name);
  if (!status.ok()) return status;
  return hosts;
}

absl::StatusOr<std::shared_ptr<const snapshot::Listener>> compile_listener_resource(SharedParts& parts,
                                                                                    const std::string& name,
                                                                                    const google::protobuf::Any& body,
                                                                                    const KnownChains& known) {
  Reading<listener_v3::Listener> reading(parts, body);
  if (!reading.context().errors().empty()) return reading.status(name);
  if (reading.message().has_api_listener()) {
    return absl::InvalidArgumentError(
        "api_listener: is for gRPC clients, which have no listener of their own; a proxy needs address and "
        "filter_chains");
  }
  reading.expect_name(reading.message().name(), name, "name");
  auto listener = compile_listener(reading.context(), reading.message(), known, "");
  absl::Status status = reading.status(name);
  if (!status.ok()) return status;
  return listener;
}

absl::StatusOr<std::shared_ptr<const route::RouteTable>> compile_routes_resource(SharedParts& parts,
                                                                                 const std::string& name,
                                                                                 const google::protobuf::Any& body) {
  Reading<route_v3::RouteConfiguration> reading(parts, body);
  if (!reading.context().errors().empty()) return reading.status(name);
  reading.expect_name(reading.message().name(), name, "name");
  auto table = compile_routes(reading.context(), reading.message(), false, "");
  absl::Status status = reading.status(name);
  if (!status.ok()) return status;
  return table;
}

}  // namespace weft::config
