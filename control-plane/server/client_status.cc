#include "control-plane/server/client_status.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <map>
#include <utility>

#include "control-plane/server/node_matcher.h"
#include "control-plane/server/proxy_messages.h"
#include "control-plane/xds/resource_status.h"

namespace weft::control::server {

namespace {

namespace status_v3 = envoy::service::status::v3;
namespace admin_v3 = envoy::admin::v3;

status_v3::ConfigStatus config_status(xds::Sync sync) {
  switch (sync) {
    case xds::Sync::kSynced:
    case xds::Sync::kWarming:
      return status_v3::SYNCED;
    case xds::Sync::kStale:
      return status_v3::STALE;
    case xds::Sync::kNotSent:
    case xds::Sync::kMissing:
      return status_v3::NOT_SENT;
    case xds::Sync::kRefused:
      return status_v3::ERROR;
  }
  return status_v3::UNKNOWN;
}

admin_v3::ClientResourceStatus client_resource_status(const xds::ResourceStatus& status) {
  if (status.sync == xds::Sync::kRefused) return admin_v3::NACKED;
  if (status.sync == xds::Sync::kMissing) return admin_v3::DOES_NOT_EXIST;
  return status.held_version == 0 ? admin_v3::REQUESTED : admin_v3::ACKED;
}

void add_resource(snapshot::Type type, const xds::ResourceStatus& status, bool with_content,
                  status_v3::ClientConfig* config) {
  status_v3::ClientConfig::GenericXdsConfig* out = config->add_generic_xds_configs();
  out->set_type_url(std::string(snapshot::type_url(type)));
  out->set_name(status.name);
  out->set_config_status(config_status(status.sync));
  out->set_client_status(client_resource_status(status));
  // What the client has; the content is known of the newest alone.
  if (status.held_version != 0) out->set_version_info(snapshot::version_text(status.held_version));
  const bool is_newest = status.wanted != nullptr && status.wanted->version == status.held_version;
  if (with_content && is_newest) *out->mutable_xds_config() = without_secrets(*status.wanted);
  if (!status.refusal.has_value()) return;
  admin_v3::UpdateFailureState* error = out->mutable_error_state();
  error->set_details(status.refusal->reason);
  error->set_version_info(snapshot::version_text(status.refusal->version));
  *error->mutable_last_update_attempt() =
      google::protobuf::util::TimeUtil::MillisecondsToTimestamp(status.refusal->wall_ms);
  if (with_content && status.wanted != nullptr && status.wanted->version == status.refusal->version)
    *error->mutable_failed_configuration() = without_secrets(*status.wanted);
}

}  // namespace

absl::StatusOr<status_v3::ClientStatusResponse> client_status(const xds::Hub& hub,
                                                              const status_v3::ClientStatusRequest& request) {
  std::vector<NodeMatcher> matchers;
  for (const auto& each : request.node_matchers()) {
    absl::StatusOr<NodeMatcher> matcher = make_node_matcher(each);
    if (!matcher.ok()) return matcher.status();
    matchers.push_back(*std::move(matcher));
  }
  // By node; one with several streams is one client.
  std::map<std::string, status_v3::ClientConfig> clients;
  for (const auto& [id, session] : hub.sessions()) {
    if (session.stream == nullptr) continue;
    const auto& node = session.node;
    const auto takes = [&node](const NodeMatcher& matcher) { return matcher(node); };
    if (!matchers.empty() && !std::any_of(matchers.begin(), matchers.end(), takes)) continue;
    status_v3::ClientConfig& config = clients[node.id()];
    *config.mutable_node() = node;
    for (const snapshot::Type type : snapshot::kTypes) {
      for (const xds::ResourceStatus& status : xds::resource_statuses(session, type))
        add_resource(type, status, !request.exclude_resource_contents(), &config);
    }
  }
  status_v3::ClientStatusResponse response;
  for (auto& [id, config] : clients) *response.add_config() = std::move(config);
  return response;
}

}  // namespace weft::control::server
