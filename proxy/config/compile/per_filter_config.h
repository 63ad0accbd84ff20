#pragma once

#include <google/protobuf/map.h>

#include <memory>
#include <string_view>
#include <vector>

#include "envoy/extensions/filters/http/ext_authz/v3/ext_authz.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/filter/ext_authz/override.h"
#include "proxy/route/route.h"

// What route configurations, virtual hosts and routes say to single HTTP filters (typed_per_filter_config).

namespace weft::config {

struct PerFilterConfig {
  std::shared_ptr<const route::CorsPolicy> cors;
  std::vector<route::NamedOverride> overrides;

  // What it does not say itself, it has from what it stands in.
  void inherit(const PerFilterConfig& outer);
};

// How much of a body an authorization service sees, which its filter and routes say alike.
filter::AuthzBody compile_authz_body(Context& context,
                                     const envoy::extensions::filters::http::ext_authz::v3::BufferSettings& proto,
                                     std::string_view path);

// Of the message at `path`.
PerFilterConfig compile_per_filter_config(Context& context,
                                          const google::protobuf::Map<std::string, google::protobuf::Any>& configs,
                                          std::string_view path);

}  // namespace weft::config
