#include "tools/weftctl/explain.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "api/text/print.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/config_dump.h"
#include "tools/weftctl/text.h"

namespace weft::weftctl {

namespace {

std::string words(const v1::ObjectSource& source) {
  const v1::ObjectReference& object = source.object();
  return absl::StrCat(object.kind(), " ", object.namespace_(), object.namespace_().empty() ? "" : "/", object.name(),
                      " (revision ", source.revision(), source.origin().empty() ? "" : ", ", source.origin(), ")");
}

std::string words(const v1::ExplainedRule& rule) {
  if (rule.source().object().kind() == "Service" || rule.source().object().kind() == "ExternalService") {
    return absl::StrCat("straight to ", words(rule.source()), ", which has no route");
  }
  const std::string name = rule.rule_name().empty() ? "" : absl::StrCat(" \"", rule.rule_name(), "\"");
  return absl::StrCat("rule ", rule.rule(), name, " of ", words(rule.source()));
}

std::string words(const v1::ExplainedAuthorizer& authorizer) {
  if (!authorizer.trouble().empty()) return absl::StrCat(", refuses what they match: ", authorizer.trouble());
  return absl::StrCat(", asks ", words(authorizer.source()), " at ", authorizer.cluster(),
                      authorizer.grpc() ? " over gRPC" : " over HTTP",
                      authorizer.after_tokens() ? ", after tokens" : ", before tokens",
                      authorizer.fail_open() ? "; without an answer requests pass" : "");
}

const char* state_word(v1::ExplainedEndpoint::State state) {
  switch (state) {
    case v1::ExplainedEndpoint::DRAINING:
      return "draining, takes nothing new";
    case v1::ExplainedEndpoint::NOT_READY:
      return "not ready, takes nothing";
    default:
      return "ready";
  }
}

template <typename Policies>
void add_policies(const Policies& policies, const std::string& indent, std::string* out) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::EffectiveSection& section : policies) {
    rows.push_back({indent + section.field(), section.value(), words(section.source())});
  }
  if (!rows.empty()) absl::StrAppend(out, table(rows));
}

void add_cluster(const v1::Destination& destination, std::string* out) {
  const v1::ExplainedCluster& cluster = destination.cluster();
  absl::StrAppend(out, "\n", cluster.name(), absl::StrFormat("  %.1f%%  ", destination.percent()),
                  cluster.has_source() ? words(cluster.source()) : "leads nowhere: such requests fail", "\n");
  uint64_t total = 0;
  for (const auto& endpoint : cluster.endpoints()) {
    if (endpoint.state() == v1::ExplainedEndpoint::READY) total += endpoint.weight();
  }
  std::vector<std::vector<std::string>> rows = {{"  ENDPOINT", "ZONE", "WEIGHT", "SHARE", "STATE"}};
  for (const auto& endpoint : cluster.endpoints()) {
    const bool is_ready = endpoint.state() == v1::ExplainedEndpoint::READY;
    const bool is_ipv6 = endpoint.address().find(':') != std::string::npos;
    rows.push_back({absl::StrCat("  ", is_ipv6 ? "[" : "", endpoint.address(), is_ipv6 ? "]:" : ":", endpoint.port()),
                    endpoint.zone().empty() ? "-" : endpoint.zone(), std::to_string(endpoint.weight()),
                    is_ready ? absl::StrFormat("%.1f%%", 100.0 * endpoint.weight() / static_cast<double>(total)) : "-",
                    state_word(endpoint.state())});
  }
  absl::StrAppend(out, rows.size() > 1                     ? table(rows)
                       : cluster.is_original_destination() ? "  goes to where its application connected\n"
                                                           : "  no endpoints: such requests fail\n");
  add_policies(cluster.policies(), "  ", out);
  rows.clear();
  for (const auto& issuer : cluster.issuers()) {
    rows.push_back({"  TOKENS", words(issuer.source()), absl::StrCat("of ", issuer.issuer())});
  }
  for (const auto& policy : cluster.authorizations()) {
    rows.push_back({absl::StrCat("  ", policy.action()), words(policy.source()),
                    absl::StrCat(policy.rules(), policy.rules() == 1 ? " rule" : " rules",
                                 policy.dry_run() ? ", dry run: refuses nobody" : "",
                                 policy.has_authorizer() ? words(policy.authorizer()) : "")});
  }
  if (!rows.empty()) absl::StrAppend(out, table(rows));
}

// The listener for an application's outgoing HTTP, and its routes.
constexpr char kOutbound[] = "outbound";
// Of a path that is to be written otherwise.
constexpr uint32_t kTemporaryRedirect = 307;

std::string time_words(uint64_t ms) { return ms == 0 ? "none" : absl::StrCat(ms, " ms"); }

}  // namespace

absl::StatusOr<v1::Explanation> explanation(const v1::ExplainResponse& mesh, const std::string& namespace_name,
                                            const Request& request) {
  envoy::config::route::v3::RouteConfiguration routes;
  if (!routes.ParseFromString(mesh.routes())) {
    return absl::InvalidArgumentError("the control plane's answer holds no route configuration");
  }
  envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager manager;
  if (!manager.ParseFromString(mesh.manager())) {
    return absl::InvalidArgumentError("the control plane's answer holds no connection manager");
  }
  v1::Explanation out;
  out.set_revision(mesh.revision());
  out.set_method(request.method);
  out.set_authority(request.authority);
  out.set_path(request.path);
  out.set_namespace_(namespace_name);
  const ReadPath read = read_path(manager, request.path);
  out.set_path_refused(read.refused);
  if (!read.refused.empty()) return out;
  if (read.path != request.path) out.set_canonical_path(read.path);
  if (read.redirects) {
    out.set_status(kTemporaryRedirect);
    out.set_location(read.path);
    return out;
  }
  Request routed = request;
  routed.path = read.path;
  const absl::StatusOr<Match> found = match(routes, routed);
  if (!found.ok()) return found.status();
  std::map<std::pair<std::string, std::string>, const v1::ExplainedRule*> rules;
  for (const auto& rule : mesh.rules()) rules.try_emplace({rule.virtual_host(), rule.name()}, &rule);
  std::map<std::string, const v1::ExplainedCluster*> clusters;
  for (const auto& cluster : mesh.clusters()) clusters.try_emplace(cluster.name(), &cluster);

  out.set_virtual_host(found->virtual_host);
  for (const Match::Tried& tried : found->tried) {
    v1::TriedRule* shown = out.add_tried();
    shown->set_name(tried.route);
    shown->set_outcome(tried.outcome);
    const auto rule = rules.find({found->virtual_host, tried.route});
    if (rule == rules.end()) continue;
    *shown->mutable_source() = rule->second->source();
    shown->set_rule(rule->second->rule());
  }
  if (found->route.empty()) return out;
  out.mutable_winner()->set_name(found->route);
  const auto rule = rules.find({found->virtual_host, found->route});
  if (rule != rules.end()) *out.mutable_winner() = *rule->second;
  uint64_t total = 0;
  for (const auto& [name, weight] : found->clusters) total += weight;
  for (const auto& [name, weight] : found->clusters) {
    v1::Destination* destination = out.add_destinations();
    destination->set_weight(weight);
    destination->set_percent(total == 0 ? 0 : 100.0 * weight / static_cast<double>(total));
    destination->mutable_cluster()->set_name(name);
    const auto cluster = clusters.find(name);
    if (cluster != clusters.end()) *destination->mutable_cluster() = *cluster->second;
  }
  for (const std::string& mirror : found->mirrors) out.add_mirrors(mirror);
  out.set_status(found->status);
  out.set_location(found->location);
  out.set_sent_path(found->path);
  out.set_sent_host(found->host);
  out.set_timeout_ms(static_cast<uint64_t>(found->timeout_ms));
  out.set_attempt_timeout_ms(static_cast<uint64_t>(found->attempt_timeout_ms));
  out.set_retries(found->retries);
  return out;
}

std::string print(const v1::Explanation& explanation) {
  std::string out =
      absl::StrCat(explanation.method(), " ", explanation.authority(), explanation.path(), " from namespace ",
                   explanation.namespace_(), ", revision ", explanation.revision(), "\n\n");
  if (!explanation.path_refused().empty()) {
    return absl::StrCat(out, explanation.path_refused(), "; the proxy answers 400\n");
  }
  if (!explanation.canonical_path().empty()) {
    absl::StrAppend(&out, "the proxy reads the path as ", explanation.canonical_path(), "\n");
  }
  if (explanation.status() == kTemporaryRedirect && explanation.virtual_host().empty()) {
    return absl::StrCat(out, "and answers ", explanation.status(), ", to there\n");
  }
  if (explanation.virtual_host().empty()) {
    return absl::StrCat(out, "no service that this namespace sees has the host ", explanation.authority(),
                        "; the proxy answers 404\n");
  }
  absl::StrAppend(&out, "host of ", explanation.virtual_host(), "\n");
  std::vector<std::vector<std::string>> rows;
  for (const auto& tried : explanation.tried()) rows.push_back({"  " + tried.name(), tried.outcome()});
  absl::StrAppend(&out, table(rows));
  if (!explanation.has_winner()) return absl::StrCat(out, "no route matches; the proxy answers 404\n");
  absl::StrAppend(&out, "by ", words(explanation.winner()), "\n");
  if (!explanation.location().empty()) {
    return absl::StrCat(out, "redirected by ", explanation.status(), " to ", explanation.location(), "\n");
  }
  if (explanation.status() != 0) {
    return absl::StrCat(out, "the proxy answers ", explanation.status(), ", as no backend can take it\n");
  }
  if (!explanation.sent_path().empty()) absl::StrAppend(&out, "sent on with path ", explanation.sent_path(), "\n");
  if (!explanation.sent_host().empty()) absl::StrAppend(&out, "sent on with host ", explanation.sent_host(), "\n");
  if (!explanation.mirrors().empty()) {
    absl::StrAppend(&out, "copied to ", absl::StrJoin(explanation.mirrors(), ", "), "\n");
  }
  absl::StrAppend(&out, "timeout ", time_words(explanation.timeout_ms()), ", of an attempt ",
                  time_words(explanation.attempt_timeout_ms()), ", retries ", explanation.retries(), "\n");
  add_policies(explanation.winner().policies(), "  ", &out);
  for (const auto& destination : explanation.destinations()) add_cluster(destination, &out);
  return out;
}

int explain(const ExplainOptions& options, v1::Control::Stub* stub, const std::string& socket) {
  Request request;
  request.method = options.method;
  absl::Status right = set_url(options.url, &request);
  for (const std::string& header : options.headers) {
    if (right.ok()) right = add_header(header, &request);
  }
  if (!right.ok()) {
    std::cerr << "weftctl: " << std::string(right.message()) << "\n";
    return kWrongUse;
  }
  v1::ExplainRequest asked;
  const size_t slash = options.from.find('/');
  asked.set_namespace_(options.from.substr(0, slash));
  if (slash != std::string::npos) asked.set_service(options.from.substr(slash + 1));
  grpc::ClientContext context;
  v1::ExplainResponse mesh;
  if (const int code = tell(stub->Explain(&context, asked, &mesh), socket); code != kDone) return code;
  if (!options.config_dump.empty()) {
    google::protobuf::RepeatedPtrField<v1::Document> dump;
    if (!read_documents({options.config_dump}, &dump) || dump.empty()) return kWrongUse;
    absl::StatusOr<std::string> routes = routes_of_dump(dump.Get(0).text(), kOutbound);
    if (!routes.ok()) {
      std::cerr << "weftctl: " << options.config_dump << ": " << std::string(routes.status().message()) << "\n";
      return kWrongUse;
    }
    mesh.set_routes(*std::move(routes));
    absl::StatusOr<std::string> manager = manager_of_dump(dump.Get(0).text(), kOutbound);
    // A dump of routes alone says nothing of paths: they are read as the mesh's proxies do.
    if (manager.ok()) mesh.set_manager(*std::move(manager));
  }
  const auto found = explanation(mesh, asked.namespace_().empty() ? "default" : asked.namespace_(), request);
  if (!found.ok()) {
    std::cerr << "weftctl: " << std::string(found.status().message()) << "\n";
    return kRefused;
  }
  text::PrintOptions print_options;
  print_options.proto_names = false;
  if (options.output == "json") {
    std::cout << text::print_json(*found, print_options) << "\n";
  } else if (options.output == "yaml") {
    std::cout << text::print_yaml(*found, print_options);
  } else {
    std::cout << print(*found);
  }
  return found->has_winner() ? kDone : kDifferent;
}

}  // namespace weft::weftctl
