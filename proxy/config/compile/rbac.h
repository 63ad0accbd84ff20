#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/http/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/network/rbac/v3/rbac.pb.h"
#include "envoy/type/matcher/v3/metadata.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/rbac/guard.h"

// Rules of access, of requests and of connections, and conditions on metadata, which access logs have too.

namespace weft::config {

namespace rbac_v3 = envoy::config::rbac::v3;
namespace http_rbac_v3 = envoy::extensions::filters::http::rbac::v3;
namespace network_rbac_v3 = envoy::extensions::filters::network::rbac::v3;

rbac::Guard compile_guard(Context& context, const http_rbac_v3::RBAC& proto, std::string_view path);
// `prefix` is the connection manager's: "http.web.".
rbac::GuardStats guard_stats(Context& context, const http_rbac_v3::RBAC& proto, const std::string& prefix,
                             const std::string& stat_prefix);
std::shared_ptr<const rbac::ConnectionGuard> compile_connection_guard(Context& context,
                                                                      const network_rbac_v3::RBAC& proto,
                                                                      std::string_view path);
rbac::MetadataMatch compile_metadata_match(Context& context, const matcher_v3::MetadataMatcher& matcher,
                                           std::string_view path);

}  // namespace weft::config
