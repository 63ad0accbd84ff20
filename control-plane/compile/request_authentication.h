#pragma once

// RequestAuthentications into Envoy's JWT filter, by Istio's semantics: a bad token is refused, none is not; and into
// clusters by which a proxy fetches issuers' keys. Pure; any thread.

#include <optional>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/registry/web_address.h"
#include "control-plane/snapshot/resource.h"

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::control::compile {

// The filter's name, which is that of the metadata with a good token's claims, too, and their key in it.
inline constexpr char kTokenFilter[] = "envoy.filters.http.jwt_authn";
inline constexpr char kTokenPayload[] = "payload";

// Puts the filter in front of the last one, which must be there. Nothing if there are no tokens to check.
void add_request_authentication(
    const registry::RequestAuthentications& tokens,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager* manager);

// The service of the mesh that is meant by http://NAME.NAMESPACE.svc and http://NAME.NAMESPACE.svc.cluster.local.
std::optional<registry::ServiceName> mesh_service(const registry::WebAddress& address);

// One for each server that has keys, but for services of the mesh, which have clusters of their own. `is_weft` as in
// Audience.
std::vector<snapshot::ResourcePointer> key_clusters(const registry::RequestAuthentications& tokens, bool is_weft);

}  // namespace weft::control::compile
