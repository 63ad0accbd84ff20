#include "proxy/config/compile/path_rules.h"

#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace weft::config {
namespace {

namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;

snapshot::PathAction slash_action(hcm_v3::HttpConnectionManager::PathWithEscapedSlashesAction action) {
  switch (action) {
    case hcm_v3::HttpConnectionManager::REJECT_REQUEST:
      return snapshot::PathAction::kReject;
    case hcm_v3::HttpConnectionManager::UNESCAPE_AND_REDIRECT:
      return snapshot::PathAction::kUnescapeAndRedirect;
    case hcm_v3::HttpConnectionManager::UNESCAPE_AND_FORWARD:
      return snapshot::PathAction::kUnescapeAndForward;
    default:
      return snapshot::PathAction::kKeepUnchanged;
  }
}

}  // namespace

stream::PathRules compile_path_rules(const hcm_v3::HttpConnectionManager& proto) {
  return {proto.normalize_path().value(), proto.merge_slashes(),
          slash_action(proto.path_with_escaped_slashes_action())};
}

}  // namespace weft::config
