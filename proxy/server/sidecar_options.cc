#include "proxy/server/sidecar_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "api/text/cat.h"
#include "api/token/join_token.h"
#include "proxy/intercept/self_test.h"
#include "proxy/transport/socket.h"

namespace weft::server {
namespace {

using config::HealthProbe;
using config::HostPort;
using text::cat;

constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kMaxNameBytes = 253;
constexpr int kMaxPort = 65535;
constexpr uint16_t kHealthPort = 15021;
constexpr int64_t kLeastIntervalMs = 100;
constexpr int64_t kMostIntervalMs = 600'000;

bool is_label(const std::string& text) {
  auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= kMaxLabelBytes && std::all_of(text.begin(), text.end(), inner) &&
         text.front() != '-' && text.back() != '-';
}

std::string check_label(const std::string& text) {
  if (is_label(text)) return {};
  return cat("\"", text, "\" is no name: expected at most 63 lower-case letters, digits and '-'");
}

// As Kubernetes names a Deployment: labels with dots between.
std::string check_workload(const std::string& text) {
  size_t begin = 0;
  bool is_name = text.size() <= kMaxNameBytes;
  while (is_name && begin <= text.size()) {
    size_t end = std::min(text.find('.', begin), text.size());
    is_name = is_label(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return is_name ? std::string() : cat("\"", text, "\" is no name: expected lower-case letters, digits, '-' and '.'");
}

// "service", "namespace/service" or "namespace/*".
std::string check_scope(const std::string& text) {
  size_t slash = text.find('/');
  std::string service = slash == std::string::npos ? text : text.substr(slash + 1);
  bool has_namespace = slash == std::string::npos || is_label(text.substr(0, slash));
  if (has_namespace && (is_label(service) || (service == "*" && slash != std::string::npos))) return {};
  return cat("\"", text, "\": expected service, namespace/service or namespace/*");
}

std::string check_ip(const std::string& text) {
  if (transport::Address::parse_ip(text, 0).family != transport::Address::Family::kNone) return {};
  return cat("\"", text, "\" is no IP address");
}

// `take` is called with each that is given.
CLI::Option* add_host_port(CLI::App& app, const std::string& name, std::function<void(HostPort)> take,
                           const std::string& help) {
  auto check = [](const std::string& text) {
    HostPort ignored;
    if (config::parse_host_port(text, &ignored)) return std::string();
    return cat("\"", text, "\": expected HOST:PORT, such as 127.0.0.1:15010");
  };
  auto take_all = [take = std::move(take)](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      HostPort parsed;
      config::parse_host_port(text, &parsed);
      take(std::move(parsed));
    }
  };
  return app.add_option_function<std::vector<std::string>>(name, take_all, help)->type_name("HOST:PORT")->check(check);
}

void add_health(CLI::App& app, HealthProbe& probe) {
  auto choose = [&probe](HealthProbe::Kind kind) {
    return [&probe, kind](const std::string& target) {
      probe.kind = kind;
      probe.target = target;
    };
  };
  auto* kinds = app.add_option_group("Health", "How it is found out whether the application is well; by default not");
  auto is_path = [](const std::string& path) {
    return path.starts_with('/') ? std::string() : cat("\"", path, "\": expected a path such as /healthz");
  };
  kinds->add_option_function<std::string>("--health-http", choose(HealthProbe::Kind::kHttp), "A GET of this path")
      ->type_name("PATH")
      ->check(is_path);
  kinds
      ->add_option_function<std::string>("--health-grpc", choose(HealthProbe::Kind::kGrpc),
                                         "grpc.health.v1 of this service; \"\" is the server as a whole")
      ->type_name("SERVICE");
  kinds->add_flag_callback(
      "--health-tcp", [choose] { choose(HealthProbe::Kind::kTcp)(""); }, "That it can be connected to");
  kinds->require_option(0, 1);
  app.add_option("--health-interval-ms", probe.interval_ms, "Milliseconds from one check to the next")
      ->capture_default_str()
      ->check(CLI::Range(kLeastIntervalMs, kMostIntervalMs));
}

}  // namespace

CLI::App* add_sidecar_command(CLI::App& app, SidecarCommand& command, const char* name, const char* about) {
  config::SidecarOptions& options = command.options;
  CLI::App* sidecar = app.add_subcommand(name, about);
  sidecar->fallthrough();
  sidecar->footer(
      "Options of weft-proxy itself, such as --concurrency, --log-level and --drain-time-s, may stand here, too.");
  add_host_port(
      *sidecar, "--control", [&options](HostPort at) { options.control_planes.push_back(std::move(at)); },
      "The control plane; given again, the next one is tried when one does not answer")
      ->required();
  sidecar->add_option("--namespace", options.namespace_name, "The workload's namespace")
      ->capture_default_str()
      ->check(check_label);
  auto* token_file =
      sidecar
          ->add_option("--token-file", command.token_file,
                       "The join token, as `weftctl token create` printed it, or a Kubernetes service account's, with "
                       "--ca-file; read again for each call; by default $WEFT_TOKEN has it")
          ->type_name("FILE");
  auto* ca_file = sidecar
                      ->add_option("--ca-file", options.access.ca_file,
                                   "Who signed the control plane's certificate (PEM); by default it is known by its "
                                   "fingerprint, which stands in the token")
                      ->type_name("FILE");
  sidecar
      ->add_flag("--insecure", options.access.insecure,
                 "Without TLS and token, to a control plane on this machine that runs with --xds-insecure")
      ->excludes(token_file)
      ->excludes(ca_file);
  auto* service = sidecar->add_option("--service", options.service, "The service that the workload is an endpoint of")
                      ->type_name("NAME")
                      ->check(check_label);
  sidecar
      ->add_option("--workload", options.workload,
                   "What the workload is an instance of, such as a Deployment's name, for metrics; by default the "
                   "service")
      ->type_name("NAME")
      ->check(check_workload);
  auto* app_port = sidecar->add_option("--app-port", options.app_port, "Where the application listens, on 127.0.0.1")
                       ->type_name("PORT")
                       ->check(CLI::Range(1, kMaxPort));
  service->needs(app_port);
  app_port->needs(service);
  sidecar
      ->add_option("--service-account", options.service_account,
                   "By which the workload is known to others, in its certificate; by default its service's name")
      ->type_name("NAME")
      ->check(check_label);
  sidecar
      ->add_option("--inbound-address", options.inbound_address,
                   "Where others reach this workload; by default this host's address towards the control plane")
      ->type_name("IP")
      ->check(check_ip)
      ->needs(app_port);
  sidecar->add_option("--inbound-port", options.inbound_port, "The port of it")
      ->type_name("PORT")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxPort));
  sidecar
      ->add_option("--outbound-port", options.outbound_port,
                   "On loopback, where the application sends its calls; 0: nowhere")
      ->type_name("PORT")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxPort));
  auto* interception = sidecar->add_flag(
      "--interception", options.interception.on,
      "Rules of the kernel (weft-proxy intercept) bring all connections of the application to "
      "--outbound-port and all that are made to the workload to --inbound-port; not ready before a test "
      "shows that they do");
  sidecar
      ->add_option_function<std::string>(
          "--interception-mode",
          [&options](const std::string& mode) { options.interception.tproxy = mode == "tproxy"; },
          "By which rules others' connections are brought; tproxy needs CAP_NET_ADMIN")
      ->type_name("MODE")
      ->default_str("redirect")
      ->check(CLI::IsMember({"redirect", "tproxy"}))
      ->needs(interception);
  auto* dns = sidecar->add_flag(
      "--dns", options.interception.dns,
      "Answers the application's questions of DNS: those for the mesh's services and external services, with addresses "
      "that interception brings to the proxy, by itself, and all others as the servers of /etc/resolv.conf do; for "
      "weft-proxy intercept --redirect-dns");
  dns->needs(interception);
  sidecar->add_option("--dns-port", command.dns_port, "On loopback, UDP and TCP, where --dns answers")
      ->type_name("PORT")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxPort))
      ->needs(dns);
  sidecar
      ->add_option("--scope", options.scope,
                   "Whom the application calls: service, namespace/service or namespace/*, with commas between; by "
                   "default all that it may see")
      ->type_name("SERVICES")
      ->delimiter(',')
      ->check(check_scope);
  sidecar
      ->add_option(
          "--health-port", command.health_port,
          "On all addresses, where its platform asks for /healthz/ready, and for the application's probes that "
          "$WEFT_APP_PROBES describes; 0: nowhere; by default 15021 with --interception")
      ->type_name("PORT")
      ->check(CLI::Range(0, kMaxPort));
  sidecar
      ->add_option("--access-log", options.access_log,
                   "A line there for each request that others make of the application, with what became of it and why; "
                   "/dev/stdout is the sidecar's own output")
      ->type_name("FILE")
      ->check([](const std::string& file) {
        return file.starts_with('/') ? std::string() : cat("\"", file, "\": expected a path from the root on");
      })
      ->needs(app_port);
  add_health(*sidecar, options.health);
  add_host_port(
      *sidecar, "--admin-address", [&options](HostPort at) { options.admin = std::move(at); },
      "Where the administration listens")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->default_str("127.0.0.1:15000");
  sidecar->add_option("--node-id", options.node_id, "By default namespace/service/address")->type_name("ID");
  sidecar->add_flag("--print-bootstrap", command.print_bootstrap,
                    "Print the Envoy bootstrap that this comes to, and end");
  return sidecar;
}

namespace {

// What a sidecar must know of its host that takes connections by interception, or answers for its application.
absl::Status complete_host(SidecarCommand& command) {
  std::ifstream file("/proc/net/if_inet6");
  std::string if_inet6((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  command.has_ipv6 = !if_inet6.empty();
  transport::Address ipv6 = intercept::global_ipv6_of(if_inet6);
  if (ipv6.family != transport::Address::Family::kNone) command.own_addresses.push_back(ipv6);
  if (const char* probes = std::getenv("WEFT_APP_PROBES"); probes != nullptr) command.app_probes = probes;
  config::SidecarOptions& options = command.options;
  if (!command.health_port) command.health_port = options.interception.on ? kHealthPort : 0;
  if (!options.interception.on) return absl::OkStatus();
  if (transport::Address::parse_ip(options.inbound_address, 0).is_loopback()) {
    return absl::InvalidArgumentError(
        cat("--interception: expected as --inbound-address this host's own, by which others reach it; it is ",
            options.inbound_address));
  }
  return absl::OkStatus();
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && check_ip(host).empty());
}

// Header, payload and signature of a JWT; which signature counts is for the control plane to know.
bool is_jwt(const std::string& text) {
  return text.starts_with("ey") && std::count(text.begin(), text.end(), '.') == 2;
}

absl::Status read_token(const std::string& file, config::ControlAccess& access) {
  std::string where = "$WEFT_TOKEN";
  if (!file.empty()) {
    where = file;
    absl::StatusOr<std::string> text = read_token_file(file);
    if (!text.ok()) return text.status();
    access.token = *std::move(text);
  } else if (const char* given = std::getenv("WEFT_TOKEN"); given != nullptr) {
    access.token = given;
  } else {
    return absl::InvalidArgumentError(
        "a join token is missing: --token-file FILE or $WEFT_TOKEN, with what `weftctl token create` printed; or "
        "--insecure, for a control plane on this machine that runs with --xds-insecure");
  }
  if (is_jwt(access.token)) {
    if (!access.ca_file.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        cat(where, ": a service account's token does not say how the control plane is known; expected --ca-file, too"));
  }
  absl::StatusOr<token::JoinToken> read = token::parse(access.token);
  if (!read.ok()) return absl::InvalidArgumentError(cat(where, ": ", read.status().message()));
  access.token = token::to_text(*read);
  return absl::OkStatus();
}

absl::Status complete_access(SidecarCommand& command) {
  config::ControlAccess& access = command.options.access;
  if (!access.insecure) return read_token(command.token_file, access);
  for (const HostPort& control : command.options.control_planes) {
    if (is_loopback(control.host)) continue;
    return absl::InvalidArgumentError(cat("--insecure: ", control.host,
                                          " is not this machine, and who answers there could be anybody; expected a "
                                          "join token (--token-file)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> read_token_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return absl::NotFoundError(cat("--token-file ", file, ": cannot be read: ", strerror(errno)));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  bool fits = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (fits) return text;
  return absl::InvalidArgumentError(cat("--token-file ", file, ": expected a token, and nothing else"));
}

namespace {

absl::Status complete_interception(config::SidecarOptions& options) {
  if (!options.interception.on) return absl::OkStatus();
  if (options.outbound_port == 0 || options.outbound_port == options.inbound_port) {
    return absl::InvalidArgumentError(cat("--interception: --outbound-port ", options.outbound_port,
                                          " and --inbound-port ", options.inbound_port,
                                          ": expected two different ports, neither of them 0"));
  }
  // A host without IPv6 has no ::1, and a listener there would be refused as a whole.
  const auto loopback = transport::bind_listener(transport::Address::parse_ip("::1", 0), {});
  options.interception.ipv6 = loopback.ok();
  return absl::OkStatus();
}

}  // namespace

absl::Status complete(SidecarCommand& command) {
  if (command.completed) return absl::OkStatus();
  config::SidecarOptions& options = command.options;
  if (absl::Status status = complete_access(command); !status.ok()) return status;
  transport::Address own;
  if (!options.inbound_address.empty()) {
    own = transport::Address::parse_ip(options.inbound_address, 0);
  } else {
    const HostPort& control = options.control_planes.front();
    auto found = transport::local_address_towards(control.host, control.port);
    if (!found.ok()) {
      return absl::UnavailableError(
          cat("--inbound-address is not given, and this host's own address towards the control plane is not known: ",
              found.status().message()));
    }
    own = *found;
    options.inbound_address = own.ip_text();
  }
  if (absl::Status status = complete_interception(options); !status.ok()) return status;
  own.port = options.app_port != 0 ? options.inbound_port : options.outbound_port;
  if (options.node_id.empty()) {
    options.node_id =
        cat(options.namespace_name, "/", options.service.empty() ? "-" : options.service, "/", own.to_string());
  }
  if (absl::Status status = complete_host(command); !status.ok()) return status;
  command.completed = true;
  return absl::OkStatus();
}

}  // namespace weft::server
