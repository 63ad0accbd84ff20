#include "tools/weftctl/config_dump.h"

#include <google/protobuf/struct.pb.h>

#include "absl/strings/str_cat.h"
#include "api/text/parse.h"
#include "api/text/print.h"
#include "envoy/config/route/v3/route.pb.h"

namespace weft::weftctl {

namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;

constexpr char kRoutesDump[] = "type.googleapis.com/envoy.admin.v3.RoutesConfigDump";
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

}  // namespace

absl::StatusOr<std::string> routes_of_dump(std::string_view dump, const std::string& name) {
  Struct whole;
  if (absl::Status status = text::parse(dump, kFileName, &whole); !status.ok()) return status;
  const ListValue& configs = list_of(whole, "configs");
  if (configs.values().empty()) {
    return absl::InvalidArgumentError("expected what a proxy's admin port answers for /config_dump, with `configs`");
  }
  for (const auto& config : configs.values()) {
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
