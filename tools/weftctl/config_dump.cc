#include "tools/weftctl/config_dump.h"

#include <google/protobuf/struct.pb.h>

#include "absl/strings/str_cat.h"
#include "api/text/parse.h"
#include "api/text/print.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace weft::weftctl {

namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;

constexpr char kRoutesDump[] = "type.googleapis.com/envoy.admin.v3.RoutesConfigDump";
constexpr char kListenersDump[] = "type.googleapis.com/envoy.admin.v3.ListenersConfigDump";
constexpr char kManager[] =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
// What a manager says of paths, in Envoy's names and in JSON's.
constexpr std::string_view kOfPaths[] = {"normalize_path",
                                         "normalizePath",
                                         "merge_slashes",
                                         "mergeSlashes",
                                         "path_with_escaped_slashes_action",
                                         "pathWithEscapedSlashesAction"};
constexpr char kFileName[] = "config_dump.json";

const ListValue& list_of(const Struct& object, const std::string& field) {
  static const ListValue kNone;
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? kNone : found->second.list_value();
}

std::string text_of(const Struct& object, const std::string& field) {
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? "" : found->second.string_value();
}

absl::StatusOr<std::string> serialise(Struct routes) {
  routes.mutable_fields()->erase("@type");
  envoy::config::route::v3::RouteConfiguration parsed;
  if (absl::Status status = text::parse(text::print_json(routes), kFileName, &parsed); !status.ok()) return status;
  return parsed.SerializeAsString();
}

const Struct& struct_of(const Struct& object, const std::string& field) {
  static const Struct kNone;
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? kNone : found->second.struct_value();
}

// Its `configs`.
absl::StatusOr<ListValue> parts_of(std::string_view dump) {
  Struct whole;
  if (absl::Status status = text::parse(dump, kFileName, &whole); !status.ok()) return status;
  const ListValue& configs = list_of(whole, "configs");
  if (!configs.values().empty()) return configs;
  return absl::InvalidArgumentError("expected what a proxy's admin port answers for /config_dump, with `configs`");
}

// What the rest says is not ours to know: a manager may have filters that we do not.
absl::StatusOr<std::string> serialise_paths(const Struct& manager) {
  Struct kept;
  for (const std::string_view name : kOfPaths) {
    const auto found = manager.fields().find(std::string(name));
    if (found != manager.fields().end()) kept.mutable_fields()->insert({found->first, found->second});
  }
  envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager parsed;
  if (absl::Status status = text::parse(text::print_json(kept), kFileName, &parsed); !status.ok()) return status;
  return parsed.SerializeAsString();
}

// The first manager among the filters of a listener; null if it has none.
const Struct* manager_in(const Struct& listener) {
  for (const auto& chain : list_of(listener, "filter_chains").values()) {
    for (const auto& filter : list_of(chain.struct_value(), "filters").values()) {
      const Struct& config = struct_of(filter.struct_value(), "typed_config");
      if (text_of(config, "@type") == kManager) return &config;
    }
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<std::string> manager_of_dump(std::string_view dump, const std::string& listener) {
  const absl::StatusOr<ListValue> configs = parts_of(dump);
  if (!configs.ok()) return configs.status();
  for (const auto& config : configs->values()) {
    if (text_of(config.struct_value(), "@type") != kListenersDump) continue;
    for (const char* list : {"dynamic_listeners", "static_listeners"}) {
      for (const auto& entry : list_of(config.struct_value(), list).values()) {
        const Struct& shown = entry.struct_value();
        const bool has_states = shown.fields().contains("active_state");
        const Struct& found = struct_of(has_states ? struct_of(shown, "active_state") : shown, "listener");
        const Struct* manager = text_of(found, "name") == listener ? manager_in(found) : nullptr;
        if (manager != nullptr) return serialise_paths(*manager);
      }
    }
  }
  return absl::NotFoundError(absl::StrCat("the proxy has no HTTP listener named \"", listener, "\""));
}

absl::StatusOr<std::string> routes_of_dump(std::string_view dump, const std::string& name) {
  const absl::StatusOr<ListValue> configs = parts_of(dump);
  if (!configs.ok()) return configs.status();
  for (const auto& config : configs->values()) {
    if (text_of(config.struct_value(), "@type") != kRoutesDump) continue;
    for (const char* list : {"dynamic_route_configs", "static_route_configs"}) {
      for (const auto& entry : list_of(config.struct_value(), list).values()) {
        const auto routes = entry.struct_value().fields().find("route_config");
        if (routes == entry.struct_value().fields().end()) continue;
        if (text_of(routes->second.struct_value(), "name") == name) return serialise(routes->second.struct_value());
      }
    }
  }
  return absl::NotFoundError(absl::StrCat("the proxy has no routes named \"", name, "\""));
}

}  // namespace weft::weftctl
