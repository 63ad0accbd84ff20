#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <functional>

#include "absl/strings/escaping.h"
#include "proxy/transport/plain_stream.h"
#include "proxy/transport/tls_certificate.h"
#include "proxy/transport/tls_config.h"
#include "tests/proxy/transport/loop_driver.h"
#include "tests/proxy/transport/test_certificates.h"

namespace weft::transport {
namespace {

using testing::kDayS;
using testing::KeyKind;
using testing::LoopDriver;
using testing::StreamOwner;
using testing::TestCertificate;

DataSource inline_bytes(std::string bytes) { return {"", std::move(bytes)}; }

TlsCertificateConfig shown(const TestCertificate& certificate) {
  TlsCertificateConfig config;
  config.chain = inline_bytes(certificate.pem());
  config.private_key = inline_bytes(certificate.key_pem());
  return config;
}

struct Authority {
  TestCertificate ca{"Test CA", "", nullptr, KeyKind::kEcdsa, true};
  TestCertificate server{"server", "DNS:server.example,DNS:*.wild.example,URI:spiffe://mesh/server,IP:127.0.0.1", &ca,
                         KeyKind::kEcdsa};
  TestCertificate client{"client", "URI:spiffe://mesh/client", &ca, KeyKind::kEcdsa};
};
const Authority& authority() {
  static const Authority made;
  return made;
}

ServerTlsConfig server_config() {
  ServerTlsConfig config;
  config.certificates.push_back(shown(authority().server));
  config.alpn = {"h2", "http/1.1"};
  return config;
}
ClientTlsConfig client_config() {
  ClientTlsConfig config;
  config.validation.trusted_ca = inline_bytes(authority().ca.pem());
  config.sni = "server.example";
  config.auto_sni_san_validation = true;
  return config;
}

// A server and a connector on one loop; handshake() makes one connection.
struct Sides {
  Sides(ServerTlsConfig server_side, ClientTlsConfig client_side) {
    auto tls = make_server_tls(std::move(server_side));
    INFO(tls.status());
    REQUIRE(tls.ok());
    server_tls = *tls;
    auto made = make_tls_connector(std::move(client_side), {});
    INFO(made.status());
    REQUIRE(made.ok());
    connector = *made;
    auto listening = listen_on(Address::parse_ip("127.0.0.1", 0), {});
    REQUIRE(listening.ok());
    listener = std::move(*listening);
  }
  struct Connection {
    StreamOwner client, server;
  };
  std::unique_ptr<Connection> handshake(bool is_http = true) {
    auto c = std::make_unique<Connection>();
    Address to = local_address(listener.get());
    c->client.own(is_http ? connector->connect(driver.loop(), to) : connector->connect_stream(driver.loop(), to));
    REQUIRE(driver.run_until([&] {
      if (c->server.stream == nullptr) {
        Address peer;
        int error = 0;
        Descriptor fd = accept_connection(listener.get(), &peer, &error);
        if (!fd.open()) return false;
        c->server.own(server_tls->accept(std::make_unique<PlainStream>(driver.loop(), std::move(fd), peer, Address()),
                                         base::Buffer()));
      }
      return (c->client.was_connected && c->server.was_connected) || c->server.connect_failed ||
             c->client.connect_failed;
    }));
    return c;
  }
  // Bytes both ways, so that what follows the handshake (tickets, alerts) is read too.
  void exchange(Connection& c) {
    c.client.send("ping");
    REQUIRE(driver.run_until([&] { return c.server.received.size() == 4 || c.server.failed || c.client.failed; }));
    c.server.send("pong");
    REQUIRE(driver.run_until([&] { return c.client.received.size() == 4 || c.server.failed || c.client.failed; }));
  }
  LoopDriver driver;
  std::shared_ptr<const ServerTls> server_tls;
  std::shared_ptr<Connector> connector;
  Descriptor listener;
};

std::string client_error(ServerTlsConfig server_side, ClientTlsConfig client_side) {
  Sides sides(std::move(server_side), std::move(client_side));
  auto c = sides.handshake();
  REQUIRE(sides.driver.run_until([&] { return c->client.connect_failed; }));
  CHECK(c->client.stream->error_kind() == ByteStream::ErrorKind::kTls);
  return std::string(c->client.stream->error());
}

}  // namespace

TEST_CASE("a TLS 1.3 handshake tells both sides who is there, and bytes flow") {
  ServerTlsConfig server_side = server_config();
  server_side.validation.trusted_ca = inline_bytes(authority().ca.pem());
  server_side.require_client_certificate = true;
  ClientTlsConfig client_side = client_config();
  client_side.certificate = shown(authority().client);
  client_side.alpn = {"http/1.1", "h2"};
  Sides sides(server_side, client_side);
  auto c = sides.handshake();
  INFO(c->client.stream->error() << " / " << c->server.stream->error());
  REQUIRE(c->client.was_connected);
  REQUIRE(c->server.was_connected);
  sides.exchange(*c);
  CHECK(c->client.received.to_string() == "pong");
  CHECK(c->client.stream->alpn() == "h2");
  CHECK(c->server.stream->alpn() == "h2");
  const TlsInfo* at_server = c->server.stream->info().tls;
  REQUIRE(at_server != nullptr);
  CHECK(at_server->version == "TLSv1.3");
  CHECK(at_server->cipher == "TLS_AES_128_GCM_SHA256");
  CHECK(at_server->sni == "server.example");
  CHECK(at_server->peer_certificate_presented);
  CHECK(at_server->peer_verified);
  CHECK(at_server->peer_uri_sans == std::vector<std::string>{"spiffe://mesh/client"});
  CHECK(at_server->local_uri_sans == std::vector<std::string>{"spiffe://mesh/server"});
  CHECK(at_server->peer_subject == "CN=client");
  CHECK(at_server->peer_issuer == "CN=Test CA");
  CHECK(at_server->peer_fingerprint_sha256.size() == 64);
  CHECK(c->client.stream->info().tls->peer_verified);
  CHECK(c->client.stream->info().tls->peer_dns_sans.size() == 2);
  CHECK(c->client.stream->sent_bytes() > 4);
}

TEST_CASE("what is not HTTP may be offered by another protocol than HTTP is") {
  ServerTlsConfig server_side = server_config();
  server_side.alpn.push_back("stream");
  ClientTlsConfig client_side = client_config();
  client_side.alpn = {"h2"};
  client_side.stream_alpn = {"stream"};
  Sides sides(std::move(server_side), std::move(client_side));
  CHECK(sides.handshake()->server.stream->alpn() == "h2");
  CHECK(sides.handshake(false)->server.stream->alpn() == "stream");
}

TEST_CASE("the certificates that a peer showed are there as PEM") {
  ServerTlsConfig server_side = server_config();
  server_side.validation.trusted_ca = inline_bytes(authority().ca.pem());
  ClientTlsConfig client_side = client_config();
  client_side.certificate = shown(authority().client);
  client_side.certificate.chain.bytes += authority().ca.pem();
  Sides sides(std::move(server_side), std::move(client_side));
  auto c = sides.handshake();
  CHECK(c->server.stream->peer_certificates_pem(false) == authority().client.pem());
  CHECK(c->server.stream->peer_certificates_pem(true) == authority().client.pem() + authority().ca.pem());
}

TEST_CASE("bulk goes through TLS whole, with flat memory when the reader is slow") {
  Sides sides(server_config(), client_config());
  auto c = sides.handshake();
  REQUIRE(c->server.was_connected);
  c->client.paused = true;
  std::string big(8 << 20, '\0');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 >> 3);
  c->server.send(big);
  CHECK_FALSE(c->server.to_send.empty());
  CHECK(c->server.stream->unsent_bytes() < 256 * 1024);
  c->client.paused = false;
  c->client.stream->read_later();
  REQUIRE(sides.driver.run_until([&] { return c->client.received.size() == big.size(); }, 20'000));
  CHECK(c->client.received.to_string() == big);
  CHECK(c->server.stream->unsent_bytes() == 0);
  c->client.received.clear();
  c->server.received.clear();
  c->server.to_send.clear();
  CHECK(base::blocks_in_use() == 0);
}

TEST_CASE("close_notify is an end; a bare FIN may be a truncation and is an error") {
  Sides sides(server_config(), client_config());
  auto c = sides.handshake();
  c->server.send("bye");
  c->server.stream->shutdown_write();
  REQUIRE(sides.driver.run_until([&] { return c->client.ended; }));
  CHECK(c->client.received.to_string() == "bye");
  c->client.send("half-open");
  REQUIRE(sides.driver.run_until([&] { return c->server.received.size() == 9; }));

  auto cut = sides.handshake();
  sides.exchange(*cut);
  cut->server.stream->close(ByteStream::CloseKind::kReset);
  REQUIRE(sides.driver.run_until([&] { return cut->client.failed; }));
  CHECK_FALSE(cut->client.ended);
}

TEST_CASE("a client refuses a certificate that is not the one it wants, and says why") {
  const Authority& a = authority();
  TestCertificate other_ca("Other CA", "", nullptr, KeyKind::kEcdsa, true);
  ClientTlsConfig client = client_config();
  client.validation.trusted_ca = inline_bytes(other_ca.pem());
  CHECK(client_error(server_config(), client) ==
        "TLS: certificate verify failed: unable to get local issuer certificate");

  client = client_config();
  client.sni = "elsewhere.example";
  CHECK(client_error(server_config(), client) ==
        "TLS: certificate verify failed: no subject alternative name is exact elsewhere.example");

  TestCertificate expired("server", "DNS:server.example", &a.ca, KeyKind::kEcdsa, false, -kDayS);
  ServerTlsConfig server = server_config();
  server.certificates = {shown(expired)};
  CHECK(client_error(server, client_config()) == "TLS: certificate verify failed: certificate has expired");
  client = client_config();
  client.validation.allow_expired = true;
  CHECK(Sides(server, client).handshake()->client.was_connected);

  client = client_config();
  client.validation.crl = inline_bytes(a.ca.crl_pem(a.server));
  CHECK(client_error(server_config(), client) == "TLS: certificate verify failed: certificate revoked");
  client.validation.crl = inline_bytes(a.ca.crl_pem(a.client));
  CHECK(Sides(server_config(), client).handshake()->client.was_connected);

  client = client_config();
  client.validation.certificate_hashes = {std::string(64, '0')};
  CHECK(client_error(server_config(), client) ==
        "TLS: certificate verify failed: it is none of the pinned certificates");
  client.validation.certificate_spki = {absl::Base64Escape(public_key_sha256(a.server.x509()))};
  CHECK(Sides(server_config(), client).handshake()->client.was_connected);
}

TEST_CASE("SANs are matched by type, and any matcher will do") {
  ClientTlsConfig client = client_config();
  client.auto_sni_san_validation = false;
  auto equals = [](std::string wanted) { return [wanted](std::string_view name) { return name == wanted; }; };
  client.validation.san_matchers = {{SanMatcher::Type::kDns, equals("spiffe://mesh/server"), "", "exact as DNS"}};
  CHECK(client_error(server_config(), client).find("exact as DNS") != std::string::npos);
  client.validation.san_matchers.push_back({SanMatcher::Type::kUri, equals("spiffe://mesh/server"), "", "uri"});
  CHECK(Sides(server_config(), client).handshake()->client.was_connected);
  client.validation.san_matchers = {{SanMatcher::Type::kIpAddress, equals("127.0.0.1"), "", "ip"}};
  CHECK(Sides(server_config(), client).handshake()->client.was_connected);
  client.validation.san_matchers = {{SanMatcher::Type::kDns, {}, "a.wild.example", "wild"}};
  CHECK(Sides(server_config(), client).handshake()->client.was_connected);
  client.validation.san_matchers = {{SanMatcher::Type::kDns, {}, "a.b.wild.example", "wild"}};
  CHECK_FALSE(client_error(server_config(), client).empty());
}

TEST_CASE("a server that requires a client certificate refuses none and strangers; an optional one is looked at") {
  ServerTlsConfig server = server_config();
  server.validation.trusted_ca = inline_bytes(authority().ca.pem());
  server.require_client_certificate = true;
  {
    Sides sides(server, client_config());
    auto c = sides.handshake();
    REQUIRE(sides.driver.run_until([&] { return c->server.connect_failed; }));
    CHECK(c->server.stream->tls_failure() == ByteStream::TlsFailure::kNoCertificate);
    // In TLS 1.3 the client learns of it by the alert, after its own handshake.
    REQUIRE(sides.driver.run_until([&] { return c->client.failed || c->client.connect_failed; }));
  }
  server.require_client_certificate = false;
  {
    Sides sides(server, client_config());
    auto c = sides.handshake();
    REQUIRE(c->server.was_connected);
    CHECK_FALSE(c->server.stream->info().tls->peer_certificate_presented);
  }
  TestCertificate stranger("stranger", "URI:spiffe://mesh/client", nullptr, KeyKind::kEcdsa);
  ClientTlsConfig client = client_config();
  client.certificate = shown(stranger);
  {
    Sides sides(server, client);
    auto c = sides.handshake();
    REQUIRE(sides.driver.run_until([&] { return c->server.connect_failed; }));
    CHECK(c->server.stream->tls_failure() == ByteStream::TlsFailure::kVerify);
  }
  server.validation.accept_untrusted = true;
  {
    Sides sides(server, client);
    auto c = sides.handshake();
    REQUIRE(sides.driver.run_until([&] { return c->server.was_connected; }));
    CHECK(c->server.stream->info().tls->peer_certificate_presented);
    CHECK_FALSE(c->server.stream->info().tls->peer_verified);
  }
}

TEST_CASE("the certificate is chosen by server name, wildcards included, and by what the client can check") {
  const Authority& a = authority();
  TestCertificate rsa("rsa", "DNS:server.example", &a.ca, KeyKind::kRsa);
  TestCertificate other("other", "DNS:other.example", &a.ca, KeyKind::kEcdsa);
  ServerTlsConfig server = server_config();
  server.certificates = {shown(rsa), shown(a.server), shown(other)};
  auto subject = [&](ClientTlsConfig client) {
    Sides sides(server, client);
    auto c = sides.handshake();
    INFO(c->client.stream->error());
    REQUIRE(sides.driver.run_until([&] { return c->client.was_connected; }));
    return c->client.stream->info().tls->peer_subject;
  };
  ClientTlsConfig client = client_config();
  CHECK(subject(client) == "CN=server");
  client.parameters.max = TlsVersion::kTls12;
  client.parameters.cipher_suites = {"ECDHE-RSA-AES128-GCM-SHA256"};
  CHECK(subject(client) == "CN=rsa");
  client = client_config();
  client.sni = "x.wild.example";
  CHECK(subject(client) == "CN=server");
  client.sni = "OTHER.example";
  CHECK(subject(client) == "CN=other");
  client.sni = "unknown.example";
  client.auto_sni_san_validation = false;
  CHECK(subject(client) == "CN=rsa");
}

TEST_CASE("sessions are resumed, by ticket and by id, unless told not to") {
  auto resumed = [](ServerTlsConfig server, ClientTlsConfig client) {
    Sides sides(server, client);
    auto first = sides.handshake();
    REQUIRE(first->client.was_connected);
    sides.exchange(*first);
    CHECK_FALSE(first->client.stream->info().tls->resumed);
    auto second = sides.handshake();
    REQUIRE(second->client.was_connected);
    sides.exchange(*second);
    CHECK(second->client.stream->info().tls->resumed == second->server.stream->info().tls->resumed);
    if (second->client.stream->info().tls->resumed) CHECK(second->client.stream->info().tls->peer_verified);
    return second->client.stream->info().tls->resumed;
  };
  ServerTlsConfig server = server_config();
  ClientTlsConfig client = client_config();
  CHECK(resumed(server, client));
  server.ticket_keys = {inline_bytes(std::string(80, 'k'))};
  CHECK(resumed(server, client));
  server.ticket_keys.clear();
  client.max_session_keys = 0;
  CHECK_FALSE(resumed(server, client));
  client.max_session_keys = 1;
  client.parameters.max = TlsVersion::kTls12;
  CHECK(resumed(server, client));
  server.stateless_resumption = false;
  CHECK(resumed(server, client));
  server.stateful_resumption = false;
  CHECK_FALSE(resumed(server, client));
}

TEST_CASE("a session is worth no more than the certificate by which it was made") {
  const bool by_client = GENERATE(true, false);
  const TlsVersion version = GENERATE(TlsVersion::kTls12, TlsVersion::kTls13);
  const Authority& a = authority();
  const std::string names = "DNS:server.example,URI:spiffe://mesh/client";
  const TestCertificate brief("brief", names, &a.ca, KeyKind::kEcdsa, false, 2);
  ServerTlsConfig server = server_config();
  server.validation.trusted_ca = inline_bytes(a.ca.pem());
  server.require_client_certificate = true;
  ClientTlsConfig client = client_config();
  client.parameters.max = version;
  client.certificate = shown(by_client ? brief : a.client);
  if (!by_client) server.certificates = {shown(brief)};
  Sides sides(server, client);
  for (const bool resumed : {false, true}) {
    const auto c = sides.handshake();
    REQUIRE(c->client.was_connected);
    sides.exchange(*c);
    CHECK(c->server.stream->info().tls->resumed == resumed);
    CHECK(c->server.stream->info().tls->peer_verified);
    CHECK(c->client.stream->info().tls->peer_verified);
  }
  REQUIRE(sides.driver.run_until([&] { return X509_cmp_current_time(X509_get0_notAfter(brief.x509())) < 0; }));
  const auto c = sides.handshake();
  REQUIRE(sides.driver.run_until([&] { return (by_client ? c->server : c->client).connect_failed; }));
  const auto& refuser = by_client ? c->server : c->client;
  CHECK(refuser.stream->tls_failure() == ByteStream::TlsFailure::kVerify);
  CHECK(refuser.stream->error() == "TLS: certificate verify failed: certificate has expired");
}

TEST_CASE("clients of one certificate and one authority differ in whom they expect") {
  const Authority& a = authority();
  ServerTlsConfig server = server_config();
  server.validation.trusted_ca = inline_bytes(a.ca.pem());
  server.require_client_certificate = true;
  const auto expects = [&](std::string_view id) {
    ClientTlsConfig client = client_config();
    client.certificate = shown(a.client);
    client.auto_sni_san_validation = false;
    client.validation.san_matchers = {{SanMatcher::Type::kUri, [id](std::string_view name) { return name == id; }, "",
                                       absl::StrCat("exact ", std::string(id))}};
    return client;
  };
  Sides right(server, expects("spiffe://mesh/server"));
  Sides wrong(server, expects("spiffe://mesh/other"));
  for (int i = 0; i < 2; ++i) {
    const auto good = right.handshake();
    REQUIRE(good->client.was_connected);
    right.exchange(*good);
    CHECK(good->client.stream->info().tls->resumed == (i == 1));
    CHECK(good->client.stream->info().tls->local_uri_sans == std::vector<std::string>{"spiffe://mesh/client"});
    const auto bad = wrong.handshake();
    REQUIRE(wrong.driver.run_until([&] { return bad->client.connect_failed; }));
    CHECK(bad->client.stream->error() ==
          "TLS: certificate verify failed: no subject alternative name is exact spiffe://mesh/other");
  }
}

TEST_CASE("versions that do not meet, and a peer that speaks no TLS, are told apart") {
  ServerTlsConfig server = server_config();
  server.parameters.min = TlsVersion::kTls13;
  ClientTlsConfig client = client_config();
  client.parameters.max = TlsVersion::kTls12;
  CHECK(client_error(server, client).starts_with("TLS: "));

  Sides sides(server_config(), client_config());
  StreamOwner plain(make_plain_connector({})->connect(sides.driver.loop(), local_address(sides.listener.get())));
  StreamOwner tls;
  REQUIRE(sides.driver.run_until([&] {
    Address peer;
    int error = 0;
    Descriptor fd = accept_connection(sides.listener.get(), &peer, &error);
    if (!fd.open()) return false;
    tls.own(sides.server_tls->accept(std::make_unique<PlainStream>(sides.driver.loop(), std::move(fd), peer, Address()),
                                     base::Buffer()));
    return true;
  }));
  plain.send("GET / HTTP/1.1\r\n\r\n");
  REQUIRE(sides.driver.run_until([&] { return tls.connect_failed; }));
  CHECK(tls.stream->error() == "TLS: http request");
}

TEST_CASE("what cannot be used is refused with the file's name and the reason") {
  auto server_error = [](ServerTlsConfig config) { return std::string(make_server_tls(config).status().message()); };
  ServerTlsConfig config = server_config();
  config.certificates[0].chain = {"/nonexistent/cert.pem", ""};
  CHECK(server_error(config) == "/nonexistent/cert.pem: cannot be opened: No such file or directory");
  config = server_config();
  config.certificates[0].chain = inline_bytes("rubbish");
  CHECK(server_error(config) == "inline: holds no PEM certificate");
  config = server_config();
  config.certificates[0].private_key = inline_bytes(authority().client.key_pem());
  CHECK(server_error(config).find("is not the private key of the certificate in inline") != std::string::npos);
  config = server_config();
  config.certificates[0].private_key = inline_bytes(authority().server.key_pem("secret"));
  CHECK(server_error(config).find("is it encrypted") != std::string::npos);
  config.certificates[0].password = inline_bytes("wrong");
  CHECK(server_error(config).find("with the given password") != std::string::npos);
  CHECK(server_error(config).find("wrong") == std::string::npos);
  config.certificates[0].password = inline_bytes("secret\n");
  CHECK(make_server_tls(config).ok());
  config = server_config();
  config.parameters.cipher_suites = {"ECDHE-RSA-AES128-GCM-SHA256", "NOT-A-CIPHER"};
  CHECK(server_error(config) == "cipher_suites: not known to BoringSSL: NOT-A-CIPHER");
  config = server_config();
  config.ticket_keys = {inline_bytes("short")};
  CHECK(server_error(config) == "inline: a session ticket key has 80 bytes, not 5");
  auto tls = make_server_tls(server_config());
  REQUIRE(tls.ok());
  std::vector<CertificateInfo> infos = (*tls)->certificates();
  REQUIRE(infos.size() == 1);
  CHECK(infos[0].uri_sans == std::vector<std::string>{"spiffe://mesh/server"});
  CHECK(infos[0].ip_sans == std::vector<std::string>{"127.0.0.1"});
  int64_t now_s = base::system_clock().wall_ns() / 1'000'000'000;
  CHECK(infos[0].not_before_s < now_s);
  CHECK(infos[0].not_after_s > now_s + 29 * 86'400);
}

TEST_CASE("a wildcard stands for one label") {
  CHECK(dns_name_matches("*.example.com", "a.EXAMPLE.com"));
  CHECK_FALSE(dns_name_matches("*.example.com", "a.b.example.com"));
  CHECK_FALSE(dns_name_matches("*.example.com", "example.com"));
  CHECK_FALSE(dns_name_matches("*.example.com", ".example.com"));
  CHECK_FALSE(dns_name_matches("*.com", "example.com"));
  CHECK_FALSE(dns_name_matches("a*.example.com", "ab.example.com"));
  CHECK_FALSE(dns_name_matches("", ""));
}

}  // namespace weft::transport
