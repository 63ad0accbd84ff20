#include "proxy/config/compile/transport_matches.h"

#include <algorithm>

#include "api/text/canonical_bytes.h"
#include "proxy/config/compile/tls.h"

namespace weft::config {
namespace {

constexpr char kMetadata[] = "envoy.transport_socket_match";

cluster::TransportCriteria criteria_of(const google::protobuf::Struct& fields) {
  cluster::TransportCriteria criteria;
  for (const auto& [name, value] : fields.fields()) criteria.emplace_back(name, text::canonical_bytes(value));
  std::sort(criteria.begin(), criteria.end());
  return criteria;
}

}  // namespace

cluster::TransportCriteria compile_transport_criteria(const core_v3::Metadata& metadata) {
  auto found = metadata.filter_metadata().find(kMetadata);
  return found == metadata.filter_metadata().end() ? cluster::TransportCriteria() : criteria_of(found->second);
}

void compile_transport_matches(Context& context, const envoy::config::cluster::v3::Cluster& proto,
                               std::string_view path, const transport::SocketOptions& options,
                               const std::vector<std::string>& alpn,
                               std::vector<cluster::ClusterOwn::TransportMatch>& matches) {
  for (int i = 0; i < proto.transport_socket_matches_size(); ++i) {
    const auto& match = proto.transport_socket_matches(i);
    std::string here = at(path, "transport_socket_matches", i);
    if (match.name().empty()) context.error(field_path(here, "name"), "is empty");
    if (!match.has_transport_socket()) context.error(field_path(here, "transport_socket"), "is missing");
    ClientTransport made = compile_client_transport(context, &match.transport_socket(),
                                                    field_path(here, "transport_socket"), options, alpn);
    matches.push_back({match.name(), criteria_of(match.match()), std::move(made.connector)});
  }
}

}  // namespace weft::config
