#include "control-plane/server/admission.h"

#include "control-plane/ca/origin.h"
#include "envoy/config/core/v3/base.pb.h"
#include "tests/control-plane/ca/authority_fixture.h"
#include "tests/control-plane/ca/jwt_fixture.h"

namespace weft::control::server {
namespace {

using envoy::config::core::v3::Node;
using xds::Credential;

constexpr char kIssuer[] = "https://kubernetes.default.svc";

Node node(const std::string& space, const std::string& service, const std::string& account = "") {
  Node node;
  node.set_id("one");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"].set_string_value(space);
  fields["service"].set_string_value(service);
  if (!account.empty()) fields["service_account"].set_string_value(account);
  return node;
}

struct Fixture : ca::AuthorityFixture {
  Fixture() {
    auto store = ca::TokenStore::open(":memory:");
    REQUIRE(store.ok());
    auto made = ca::Tokens::create(*std::move(store), clock, base::system_random());
    REQUIRE(made.ok());
    tokens = *std::move(made);
    admission = std::make_unique<Admission>(*tokens, *authority, &accounts, clock);
  }

  std::string token(const std::string& service = "cart") {
    const auto text = tokens->issue({"shop", service, ca::kHourMs, 0}, {});
    REQUIRE(text.ok());
    return "Bearer " + *text;
  }
  // What a node shows that got a certificate by this origin.
  std::string certificate(const std::string& origin = "kubernetes") {
    const auto pair = authority->make_pair({.identity = {"shop", "cart"}, .origin = origin});
    REQUIRE(pair.ok());
    return pair->chain_pem;
  }
  std::string account(const std::string& subject = "system:serviceaccount:shop:cart") {
    return "Bearer " + ca::es256(*key, R"({"alg":"ES256"})",
                                 R"({"iss":"https://kubernetes.default.svc","aud":"weft","exp":1900000000,"sub":")" +
                                     subject + "\"}");
  }
  Credential authenticate(const xds::Shown& shown) {
    const auto credential = admission->authenticate(shown);
    INFO(credential.status().message());
    REQUIRE(credential.ok());
    return *credential;
  }
  std::string identity(const Credential& credential, const Node& node) {
    const auto identity = admission->identify(credential, node);
    return identity.ok() ? ca::spiffe_id("m", *identity) : std::string(identity.status().message());
  }
  uint64_t refused(std::string_view reason) const {
    for (const auto& [name, count] : admission->refused()) {
      if (name == reason) return count;
    }
    FAIL("no such reason");
    return 0;
  }

  ca::Key key{EVP_EC_gen("P-256")};
  ca::ServiceAccounts accounts{
      kIssuer, "weft", "set",
      [this]() -> absl::StatusOr<std::string> { return "{\"keys\":[" + ca::ec_jwk(*key, "k", "P-256", 32) + "]}"; },
      clock};
  std::unique_ptr<ca::Tokens> tokens;
  std::unique_ptr<Admission> admission;
};

TEST_CASE("who comes by a join token is the account of the service that the token is for") {
  Fixture f;
  const std::string header = f.token();
  const Credential credential = f.authenticate({.authorization = header});
  CHECK(credential.kind == Credential::Kind::kToken);
  CHECK(f.admission->admit(credential, node("shop", "cart")).ok());
  CHECK(f.identity(credential, node("shop", "cart")) == "spiffe://m/ns/shop/sa/cart");
  CHECK(f.identity(credential, node("shop", "cart", "cart")) == "spiffe://m/ns/shop/sa/cart");
  CHECK_THAT(f.identity(credential, node("shop", "cart", "pay")), Catch::Contains("service_account: pay"));
  CHECK_THAT(f.identity(credential, node("shop", "pay")), Catch::Contains("is for the service cart"));
  // Nor does a stream come in so, by which it would be given another's secrets.
  CHECK(f.admission->admit(credential, node("shop", "cart", "pay")).code() == absl::StatusCode::kPermissionDenied);
  CHECK(f.admission->admit(credential, node("shop", "", "pay")).code() == absl::StatusCode::kPermissionDenied);
  CHECK(f.refused("identity") == 3);
  CHECK(f.refused("service") == 1);
}

TEST_CASE("who comes by a certificate or a service account is whom it names, and nobody else") {
  Fixture f;
  const std::string pem = f.certificate();
  const std::string header = f.account();
  for (const xds::Shown& shown : {xds::Shown{.certificate_pem = pem}, xds::Shown{.authorization = header}}) {
    const Credential credential = f.authenticate(shown);
    CHECK(credential.origin == ca::kKubernetesOrigin);
    CHECK(f.identity(credential, node("shop", "cart")) == "spiffe://m/ns/shop/sa/cart");
    CHECK(f.identity(credential, node("shop", "")) == "spiffe://m/ns/shop/sa/cart");
    CHECK_THAT(f.identity(credential, node("pay", "cart")), Catch::Contains("belongs to the namespace pay"));
    CHECK_THAT(f.identity(credential, node("shop", "pay")), Catch::Contains("runs as the service account pay"));
    CHECK_THAT(f.identity(credential, node("shop", "pay", "cart")), Catch::Contains("belongs to the service pay"));
    CHECK_THAT(f.identity(credential, node("shop", "cart", "pay")), Catch::Contains("runs as the service account pay"));
    CHECK(f.admission->admit(credential, node("shop", "pay")).code() == absl::StatusCode::kPermissionDenied);
    CHECK(f.admission->admit(credential, node("shop", "cart")).ok());
  }
  CHECK(f.refused("identity") == 10);
}

TEST_CASE("a service says whose accounts its workloads run as") {
  Fixture f;
  const std::string pem = f.certificate();
  const Credential credential = f.authenticate({.certificate_pem = pem});
  CHECK_FALSE(f.admission->admit(credential, node("shop", "pay", "cart")).ok());
  auto model = std::make_shared<registry::Model>();
  auto pay = std::make_shared<registry::Service>();
  pay->name = {.namespace_name = "shop", .name = "pay"};
  pay->service_accounts = {"other", "cart"};
  model->services.set(pay->name, pay);
  auto cart = std::make_shared<registry::Service>();
  cart->name = {.namespace_name = "shop", .name = "cart"};
  cart->service_accounts = {"other"};
  model->services.set(cart->name, cart);
  f.admission->set_model(model);
  CHECK(f.admission->admit(credential, node("shop", "pay", "cart")).ok());
  CHECK(f.identity(credential, node("shop", "pay", "cart")) == "spiffe://m/ns/shop/sa/cart");
  const absl::Status denied = f.admission->admit(credential, node("shop", "cart"));
  CHECK_THAT(std::string(denied.message()), Catch::Contains("belongs to the service cart, whose accounts") &&
                                                Catch::Contains("weft.mesh/service-accounts"));
}

TEST_CASE("a certificate counts before a token, and one that is good for nothing does no harm beside a good one") {
  Fixture f;
  const std::string pem = f.certificate();
  const std::string header = f.token();
  CHECK(f.authenticate({.authorization = header, .certificate_pem = pem}).kind == Credential::Kind::kCertificate);
  f.clock.advance_ms(2 * ca::kDayMs);
  CHECK(f.authenticate({.authorization = header, .certificate_pem = pem}).kind == Credential::Kind::kToken);
  const auto alone = f.admission->authenticate({.certificate_pem = pem});
  CHECK(alone.status().code() == absl::StatusCode::kUnauthenticated);
  CHECK_THAT(std::string(alone.status().message()), Catch::Contains("expired"));
  CHECK(f.refused("certificate") == 2);
  CHECK_THAT(std::string(f.admission->authenticate({}).status().message()), Catch::Contains("a join token is missing"));
}

TEST_CASE("a certificate ends with the join token that it came of, and one whose key was sent lets nobody in") {
  Fixture f;
  const std::string header = f.token();
  const std::string id = header.substr(13, 16);
  const std::string pem = f.certificate(ca::token_origin(id));
  CHECK(f.authenticate({.certificate_pem = pem}).origin == ca::token_origin(id));
  REQUIRE(f.tokens->revoke(id).ok());
  CHECK_THAT(std::string(f.admission->authenticate({.certificate_pem = pem}).status().message()),
             Catch::Contains("is from the join token " + id + ", which was revoked"));
  const std::string secret = f.certificate(std::string(ca::kSecretOrigin));
  CHECK_THAT(std::string(f.admission->authenticate({.certificate_pem = secret}).status().message()),
             Catch::Contains("was sent by discovery together with its key"));
}

TEST_CASE("service accounts are taken where their issuer is known alone, and join tokens beside them") {
  Fixture f;
  const std::string stranger = f.account("system:node:n1");
  CHECK_FALSE(f.admission->authenticate({.authorization = stranger}).ok());
  CHECK(f.refused("service account") == 1);
  const std::string header = f.token();
  CHECK(f.authenticate({.authorization = header}).kind == Credential::Kind::kToken);
  Admission without(*f.tokens, *f.authority, nullptr, f.clock);
  const std::string account = f.account();
  CHECK_THAT(std::string(without.authenticate({.authorization = account}).status().message()),
             Catch::Contains("this is no join token"));
}

}  // namespace
}  // namespace weft::control::server
