#include "control-plane/server/options.h"

#include <CLI/CLI.hpp>

#include "control-plane/registry/format.h"

namespace weft::control::server {

namespace {

constexpr int64_t kMaxMs = 600'000;
constexpr int64_t kMinTtlMs = 1'000;

// Of the certificate authority.
void add_authority(Options& options, CLI::Option* insecure, CLI::App& app) {
  app.add_option("--trust-domain", options.trust_domain, "Of the workloads' SPIFFE IDs")->capture_default_str();
  const auto is_ttl = [](const std::string& text) {
    const int64_t ms = registry::parse_duration_ms(text).value_or(0);
    const bool is_one = ms >= kMinTtlMs && ms <= ca::Authority::kMaxTtlMs;
    return is_one ? "" : "\"" + text + "\" is no time to live; expected such as 24h, from 1s to 2160h";
  };
  app.add_option_function<std::string>(
         "--certificate-ttl",
         [&options](const std::string& text) { options.certificate_ttl_ms = *registry::parse_duration_ms(text); },
         "How long a workload's certificate lives; it is renewed at about half (default: "
         "24h)")
      ->check(CLI::Validator(is_ttl, "DURATION"));
  auto* certificate = app.add_option("--ca-cert", options.ca_certificate,
                                     "PEM with the certificate that signs workloads' and those up to its root; by "
                                     "default a root and an intermediate are made in the data folder")
                          ->type_name("FILE")
                          ->excludes(insecure);
  auto* key = app.add_option("--ca-key", options.ca_key, "PEM with its private key, of mode 0600")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  app.add_option("--ca-root", options.ca_root,
                 "PEM with all roots that workloads are to trust, where --ca-cert does not end with its root or there "
                 "are more")
      ->type_name("FILE")
      ->needs(certificate);
}

void add_kubernetes(KubernetesOptions& options, CLI::Option* insecure, CLI::App& app) {
  auto* jwks = app.add_option("--kubernetes-jwks", options.jwks,
                              "The keys that sign service accounts' tokens (JSON Web Key Set): a file, https://... or "
                              "http://... on loopback; with it workloads come in by such tokens")
                   ->type_name("FILE|URL")
                   ->excludes(insecure);
  auto* issuer = app.add_option("--kubernetes-issuer", options.issuer,
                                "Who must have issued them (iss), such as https://kubernetes.default.svc")
                     ->needs(jwks);
  jwks->needs(issuer);
  app.add_option("--kubernetes-audience", options.audience, "For whom they must be (aud)")
      ->needs(jwks)
      ->capture_default_str();
  app.add_option("--kubernetes-jwks-ca", options.jwks_root,
                 "PEM with the roots of the server of that URL; by default the system's")
      ->type_name("FILE")
      ->needs(jwks);
  app.add_option("--kubernetes-jwks-token", options.jwks_token, "A file of the token to show there; none by default")
      ->type_name("FILE")
      ->needs(jwks);
}

void add_webhook(Options& options, CLI::App& app) {
  auto* webhook =
      app.add_option("--webhook-address", options.webhook_address,
                     "Where Kubernetes' API server asks about pods, by HTTPS: POST /inject; none by default");
  auto* webhook_certificate =
      app.add_option("--webhook-cert", options.webhook_certificate,
                     "PEM with the certificate shown to it; by default the one that proxies are shown")
          ->type_name("FILE")
          ->needs(webhook);
  auto* webhook_key =
      app.add_option("--webhook-key", options.webhook_key, "PEM with its private key")->type_name("FILE");
  webhook_certificate->needs(webhook_key);
  webhook_key->needs(webhook_certificate);
  app.add_option("--inject-config", options.inject_config, "What holds for all sidecars (weft.v1.InjectConfig)")
      ->type_name("FILE")
      ->needs(webhook);
}

}  // namespace

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]:") || address.starts_with("localhost:");
}

std::string version() { return "0.1.0"; }

Options parse_options(int argc, char** argv, int* exit_code) {
  Options options;
  CLI::App app("The control plane: keeps the mesh's services and policies and pushes them to every proxy.",
               "weft-control");
  app.set_version_flag("--version", "weft-control " + version());
  app.add_option("--data-dir", options.data_dir, "Folder of the database; made if it is missing")->required();
  app.add_option("--config-dir", options.config_dir,
                 "Folder of YAML and JSON, watched with all below it; its objects are for weftctl to read only");
  app.add_option("--control-socket", options.control_socket,
                 "Unix socket that weftctl calls (default: control.sock in the data folder)");
  const auto loopback = [](const std::string& address) {
    if (is_loopback(address)) return std::string();
    return address + " is not of loopback, and nothing there is encrypted; expected such as 127.0.0.1:15014";
  };
  app.add_option("--xds-address", options.xds_address,
                 "Where proxies connect, by TLS, and come in by a join token (weftctl token create) or a certificate "
                 "of the mesh; port 0 is any free one")
      ->capture_default_str();
  auto* insecure = app.add_flag("--xds-insecure", options.xds_insecure,
                                "Let anybody on this machine connect, without TLS and tokens; only on loopback");
  auto* certificate =
      app.add_option("--tls-cert", options.tls_certificate,
                     "PEM with the certificate shown to proxies; by default one is made in the data folder")
          ->type_name("FILE")
          ->excludes(insecure);
  auto* key = app.add_option("--tls-key", options.tls_key, "PEM with its private key")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  add_authority(options, insecure, app);
  add_kubernetes(options.kubernetes, insecure, app);
  add_webhook(options, app);
  app.add_option("--admin-address", options.admin_address, "Where /healthz, /metrics and /nodes are")
      ->capture_default_str()
      ->check(loopback);
  Mesh::Limits& limits = options.limits;
  const auto add_ms = [&app](const char* name, int64_t& ms, const char* text) {
    app.add_option(name, ms, text)->capture_default_str()->check(CLI::Range(int64_t{0}, kMaxMs));
  };
  add_ms("--workload-grace-ms", options.workload_grace_ms,
         "A workload whose stream ended without a word stays an endpoint so long");
  add_ms("--debounce-ms", limits.all.quiet_ms, "Push once nothing has changed for so long");
  add_ms("--debounce-max-ms", limits.all.at_most_ms, "Push at the latest so long after a change");
  add_ms("--endpoint-debounce-ms", limits.endpoints.quiet_ms, "The same, for endpoints alone");
  add_ms("--endpoint-debounce-max-ms", limits.endpoints.at_most_ms, "The same, for endpoints alone");
  add_ms("--endpoint-rest-ms", limits.endpoints.rest_ms,
         "Endpoints that change go out at once if none did for so long; 0: each change waits");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error);
    return options;
  }
  if (options.xds_insecure && !is_loopback(options.xds_address)) {
    const CLI::ValidationError error("--xds-insecure", options.xds_address +
                                                           " is not of loopback; beyond it only TLS and tokens serve, "
                                                           "which is without --xds-insecure");
    *exit_code = app.exit(error);
    return options;
  }
  if (options.control_socket.empty()) options.control_socket = options.data_dir + "/control.sock";
  *exit_code = -1;
  return options;
}

}  // namespace weft::control::server
