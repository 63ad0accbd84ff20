#include "control-plane/compile/hop_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint_components.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::core::v3::Metadata;
using envoy::config::listener::v3::FilterChain;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

constexpr char kMetadata[] = "weft";
constexpr char kHttpFilter[] = "weft.filters.http.hop_metrics";
constexpr char kNetworkFilter[] = "weft.filters.network.hop_metrics";
constexpr char kServiceDomain[] = "svc.cluster.local";

void set_text(const char* field, const std::string& text, Metadata& metadata) {
  if (text.empty()) return;
  (*(*metadata.mutable_filter_metadata())[kMetadata].mutable_fields())[field].set_string_value(text);
}

void measure_hops(const v1::HopMetrics& config, FilterChain& chain) {
  for (int i = 0; i < chain.filters_size(); ++i) {
    google::protobuf::Any& any = *chain.mutable_filters(i)->mutable_typed_config();
    HttpConnectionManager manager;
    if (any.UnpackTo(&manager)) {
      auto* filter = manager.add_http_filters();
      filter->set_name(kHttpFilter);
      filter->mutable_typed_config()->PackFrom(config);
      auto& filters = *manager.mutable_http_filters();
      for (int at = filters.size() - 1; at > 0; --at) filters.SwapElements(at, at - 1);
      any.PackFrom(manager);
    } else if (any.Is<TcpProxy>()) {
      auto* filter = chain.add_filters();
      filter->set_name(kNetworkFilter);
      filter->mutable_typed_config()->PackFrom(config);
      for (int at = chain.filters_size() - 1; at > i; --at) chain.mutable_filters()->SwapElements(at, at - 1);
      return;
    }
  }
}

}  // namespace

void name_cluster(const registry::Service& service, envoy::config::cluster::v3::Cluster& cluster) {
  Metadata& metadata = *cluster.mutable_metadata();
  set_text("service", service.name.name, metadata);
  set_text("namespace", service.name.namespace_name, metadata);
  if (service.hosts.empty()) return;
  // The longest name that everybody knows it by; of an external service the first that it declares.
  set_text("host", service.name.external ? service.hosts.front() : service.hosts.back(), metadata);
  if (!service.name.external) return;
  (*(*metadata.mutable_filter_metadata())[kMetadata].mutable_fields())["external"].set_bool_value(true);
}

void name_own_cluster(const registry::ServiceName& service, envoy::config::cluster::v3::Cluster& cluster) {
  Metadata& metadata = *cluster.mutable_metadata();
  set_text("service", service.name, metadata);
  set_text("namespace", service.namespace_name, metadata);
  set_text("host", absl::StrCat(service.name, ".", service.namespace_name, ".", kServiceDomain), metadata);
}

void name_endpoint(const registry::Service& service, const registry::Endpoint& endpoint,
                   envoy::config::endpoint::v3::LbEndpoint& out) {
  if (service.name.external) return;
  const auto set = [&](const char* name, const std::string& text) {
    if (!text.empty() && text != service.name.name) set_text(name, text, *out.mutable_metadata());
  };
  set("workload", endpoint.labels.workload);
  set("service_account", endpoint.labels.service_account);
}

void measure_hops(v1::HopMetrics::Reporter reporter, envoy::config::listener::v3::Listener& listener) {
  v1::HopMetrics config;
  config.set_reporter(reporter);
  for (FilterChain& chain : *listener.mutable_filter_chains()) measure_hops(config, chain);
  if (listener.has_default_filter_chain()) measure_hops(config, *listener.mutable_default_filter_chain());
}

}  // namespace weft::control::compile
