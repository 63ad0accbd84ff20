#include <catch2/catch.hpp>

#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "proxy/cluster/cluster.h"
#include "proxy/transport/secret_use.h"
#include "tests/proxy/config/bootstraps.h"
#include "tests/proxy/transport/test_certificates.h"

// TLS of listeners and clusters, as compiled from a bootstrap.

namespace weft::config {
namespace {

using transport::testing::KeyKind;
using transport::testing::TestCertificate;

std::string quoted(std::string text) {
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
  return '"' + text + '"';
}

struct Files {
  TestCertificate ca{"ca", "", nullptr, KeyKind::kEcdsa, true};
  TestCertificate leaf{"leaf", "DNS:a.example", &ca, KeyKind::kEcdsa};
  TestCertificate other{"other", "DNS:b.example", &ca, KeyKind::kEcdsa};
  std::string certificate(const TestCertificate& of) const { return certificate(of.pem(), of.key_pem()); }
  static std::string certificate(const std::string& chain, const std::string& key) {
    return "{ certificate_chain: { inline_string: " + quoted(chain) +
           " }, private_key: { inline_string: " + quoted(key) + " } }";
  }
  std::string trusted() const { return "trusted_ca: { inline_string: " + quoted(ca.pem()) + " }"; }
};

// A transport socket whose CommonTlsContext is `common`, with `more` beside it.
std::string socket(std::string_view side, const std::string& common, const std::string& more = "") {
  return "transport_socket: { name: tls, typed_config: { \"@type\": "
         "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3." +
         std::string(side) + "TlsContext, common_tls_context: { " + common + " }" + more + " } }";
}

std::string server(const std::string& common, const std::string& more = "") {
  return bootstrap_with("    filter_chains: [ { filters: FILTERS, " + socket("Downstream", common, more) + " } ]");
}
std::string client(const std::string& common, const std::string& more = "", const std::string& name = "secure") {
  return "  - name: " + name + "\n    " + socket("Upstream", common, more) + "\n";
}
std::string with_clusters(const std::string& clusters) {
  return bootstrap_with("    filter_chains: [ { filters: FILTERS } ]", clusters);
}

std::string error_of(const std::string& bootstrap) {
  auto compiled = compile(bootstrap);
  REQUIRE_FALSE(compiled.ok());
  return std::string(compiled.status().message());
}
CompiledBootstrap good(const std::string& bootstrap) {
  auto compiled = compile(bootstrap);
  INFO(compiled.status().ToString());
  REQUIRE(compiled.ok());
  return *std::move(compiled);
}

TEST_CASE("a listener with a certificate serves TLS") {
  Files files;
  auto compiled = good(server("tls_certificates: [ " + files.certificate(files.leaf) + " ]"));
  CHECK(compiled.snapshot->listeners[0]->filter_chains[0]->tls != nullptr);
}

TEST_CASE("a raw_buffer transport socket is plain text") {
  auto compiled =
      good(bootstrap_with(R"(    filter_chains: [ { filters: FILTERS, transport_socket: { name: raw, typed_config: {
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer } } } ])"));
  CHECK(compiled.snapshot->listeners[0]->filter_chains[0]->tls == nullptr);
}

TEST_CASE("a server without a certificate, or with one that cannot be used, is an error at its place") {
  Files files;
  CHECK(contains(error_of(server("")), "common_tls_context: a server needs tls_certificates"));
  for (const std::string& certificate :
       {files.certificate("no certificate", files.leaf.key_pem()), files.certificate(files.leaf.pem(), "no key"),
        files.certificate(files.leaf.pem(), files.other.key_pem())}) {
    CHECK(contains(error_of(server("tls_certificates: [ " + certificate + " ]")), "common_tls_context"));
  }
  CHECK(contains(error_of(server("tls_certificates: [ { certificate_chain: { filename: /no/such/file } } ]")),
                 "/no/such/file"));
}

TEST_CASE("names are matched only where their certificate is verified, and need their type") {
  Files files;
  std::string certificate = "tls_certificates: [ " + files.certificate(files.leaf) + " ], ";
  std::string names = "match_typed_subject_alt_names: [ { san_type: DNS, matcher: { exact: a.example } } ]";
  good(server(certificate + "validation_context: { " + files.trusted() + ", " + names + " }"));
  CHECK(contains(error_of(server(certificate + "validation_context: { " + names + " }")), "no trusted_ca verifies"));
  CHECK(contains(error_of(server(certificate + "validation_context: { " + files.trusted() +
                                 ", match_typed_subject_alt_names: [ { matcher: { exact: a } } ] }")),
                 "match_typed_subject_alt_names[0].san_type: expected EMAIL, DNS, URI or IP_ADDRESS"));
}

TEST_CASE("certificates and CAs may be named secrets; one that is missing or of another kind is an error") {
  Files files;
  auto with_secrets = [&](const std::string& common) {
    return server(common) + "\n  secrets:\n  - { name: mine, tls_certificate: " + files.certificate(files.leaf) +
           " }\n  - { name: theirs, validation_context: { " + files.trusted() + " } }\n";
  };
  std::string mine = "tls_certificate_sds_secret_configs: [ { name: mine } ]";
  std::string names = "match_typed_subject_alt_names: [ { san_type: DNS, matcher: { exact: a.example } } ]";
  CHECK(good(with_secrets(mine)).snapshot->listeners[0]->filter_chains[0]->tls != nullptr);
  good(with_secrets(mine + ", validation_context_sds_secret_config: { name: theirs }"));
  // The names stand in the default part, the CA that verifies them in the named one.
  good(with_secrets(mine + ", combined_validation_context: { default_validation_context: { " + names +
                    " }, validation_context_sds_secret_config: { name: theirs } }"));

  CHECK(contains(error_of(with_secrets("tls_certificate_sds_secret_configs: [ { name: gone } ]")),
                 "there is no secret \"gone\""));
  CHECK(contains(error_of(with_secrets("tls_certificate_sds_secret_configs: [ { name: theirs } ]")),
                 "the secret it names is no tls_certificate"));
  for (const char* validation :
       {", validation_context_sds_secret_config: { name: mine }",
        ", combined_validation_context: { validation_context_sds_secret_config: { name: mine } }"}) {
    CHECK(contains(error_of(with_secrets(mine + validation)), "the secret it names is no validation_context"));
  }
}

// A secret that comes from a file of resources.
std::string coming(const std::string& name) { return "{ name: " + name + ", sds_config: { path: /secrets } }"; }

transport::SecretText certificate_text(const TestCertificate& of, const TestCertificate& key) {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_string(of.pem());
  secret.mutable_tls_certificate()->mutable_private_key()->set_inline_string(key.key_pem());
  return {secret.SerializeAsString(), {}};
}
transport::SecretText trust_text(const TestCertificate& ca) {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.mutable_validation_context()->mutable_trusted_ca()->set_inline_string(ca.pem());
  return {secret.SerializeAsString(), {}};
}

TEST_CASE("a listener whose certificate comes later is ready when it came, and shows the newest") {
  Files files;
  auto compiled = good(server("tls_certificate_sds_secret_configs: [ " + coming("mine") +
                              " ], validation_context_sds_secret_config: " + coming("theirs")));
  const auto& tls = compiled.snapshot->listeners[0]->filter_chains[0]->tls;
  REQUIRE(tls != nullptr);
  CHECK_FALSE(tls->ready());
  CHECK(tls->certificates().empty());
  transport::SecretUse* use = tls->secret_use();
  REQUIRE(use != nullptr);
  REQUIRE(use->secret_names().size() == 2);
  CHECK(use->secret_names()[0].name == "mine");
  transport::SecretText first = certificate_text(files.leaf, files.leaf), trust = trust_text(files.ca);
  REQUIRE(use->prepare({&first, &trust}).ok());
  CHECK_FALSE(tls->ready());
  use->commit();
  CHECK(tls->ready());
  CHECK(tls->certificates()[0].dns_sans == std::vector<std::string>{"a.example"});
  CHECK(tls->certificates()[1].is_ca);
  transport::SecretText bad = certificate_text(files.leaf, files.other);
  CHECK(contains(std::string(use->prepare({&bad, &trust}).message()), "this is not the private key"));
  CHECK(contains(std::string(use->prepare({&trust, &trust}).message()),
                 "tls_certificate_sds_secret_configs[0]: the secret it names is no tls_certificate"));
  CHECK(contains(std::string(use->prepare({&first, &first}).message()),
                 "validation_context_sds_secret_config: the secret it names is no validation_context"));
  transport::SecretText second = certificate_text(files.other, files.other);
  REQUIRE(use->prepare({&second, &trust}).ok());
  use->commit();
  CHECK(tls->certificates()[0].dns_sans == std::vector<std::string>{"b.example"});
}

TEST_CASE("a cluster's connector stays the same while its secrets change") {
  Files files;
  auto compiled = good(with_clusters(client(
      "tls_certificate_sds_secret_configs: [ " + coming("mine") +
      " ], combined_validation_context: { default_validation_context: { match_typed_subject_alt_names: [ { san_type: "
      "DNS, matcher: { exact: a } } ] }, validation_context_sds_secret_config: " +
      coming("theirs") + " }")));
  const auto& connector = compiled.find_cluster("secure")->own().connector;
  transport::SecretUse* use = connector->secret_use();
  REQUIRE(use != nullptr);
  CHECK_FALSE(use->has_context());
  transport::SecretText first = certificate_text(files.leaf, files.leaf), trust = trust_text(files.ca);
  REQUIRE(use->prepare({&first, &trust}).ok());
  use->commit();
  CHECK(use->has_context());
  CHECK(connector->certificates().size() == 2);
  // Names are matched, but nothing verifies the certificate that holds them.
  transport::SecretText nothing = trust_text(files.ca);
  envoy::extensions::transport_sockets::tls::v3::Secret empty;
  empty.mutable_validation_context();
  nothing.secret = empty.SerializeAsString();
  CHECK(contains(std::string(use->prepare({&first, &nothing}).message()), "no trusted_ca"));
}

TEST_CASE("what is wrong beside a secret that is yet to come is told at once") {
  Files files;
  std::string mine = "tls_certificate_sds_secret_configs: [ " + coming("mine") + " ]";
  CHECK(contains(error_of(server(mine + ", tls_params: { cipher_suites: [ none ] }")), "common_tls_context"));
  CHECK(contains(error_of(server(mine + ", alpn_protocols: [ '' ]")), "alpn_protocols"));
  CHECK(contains(error_of(server(mine + ", validation_context: { trusted_ca: { filename: /none } }")), "/none"));
  CHECK(contains(error_of(server(mine + ", tls_certificates: [ " +
                                 files.certificate(files.leaf.pem(), files.other.key_pem()) + " ]")),
                 "this is not the private key"));
  CHECK(contains(error_of(server("tls_certificate_sds_secret_configs: [ { name: '', sds_config: { path: /x } } ]")),
                 "tls_certificate_sds_secret_configs[0].name: is empty"));
  CHECK(contains(error_of(server("tls_certificate_sds_secret_configs: [ { name: x, sds_config: { ads: {} } } ]")),
                 "sds_config.ads: the bootstrap has no dynamic_resources.ads_config"));
  CHECK(contains(error_of(server("tls_certificates: [ { watched_directory: { path: '' } } ]")),
                 "watched_directory.path: is empty"));
}

TEST_CASE("certificates in a watched directory are there at once and can change") {
  Files files;
  std::string certificate = files.certificate(files.leaf);
  certificate.pop_back();
  auto compiled = good(server("tls_certificates: [ " + certificate + ", watched_directory: { path: /pki } } ]"));
  const auto& tls = compiled.snapshot->listeners[0]->filter_chains[0]->tls;
  CHECK(tls->ready());
  REQUIRE(tls->secret_use() != nullptr);
  CHECK(tls->secret_use()->secret_names().at(0).is_local());
  auto fixed = good(server("tls_certificates: [ " + files.certificate(files.leaf) + " ]"));
  CHECK(fixed.snapshot->listeners[0]->filter_chains[0]->tls->secret_use() == nullptr);
}

TEST_CASE("a cluster with a TLS context speaks TLS, and no other does") {
  Files files;
  auto compiled = good(with_clusters(client("validation_context: { " + files.trusted() + " }", ", sni: a.example")));
  CHECK(compiled.find_cluster("secure")->config().tls);
  CHECK_FALSE(compiled.find_cluster("backend")->config().tls);
}

TEST_CASE("a client shows one certificate at the most") {
  Files files;
  std::string two =
      "tls_certificates: [ " + files.certificate(files.leaf) + ", " + files.certificate(files.other) + " ]";
  good(with_clusters(client("tls_certificates: [ " + files.certificate(files.leaf) + " ]")));
  CHECK(contains(error_of(with_clusters(client(two))), "a client shows one certificate only"));
}

}  // namespace
}  // namespace weft::config
