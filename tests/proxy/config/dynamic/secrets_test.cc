#include "proxy/config/dynamic/secrets.h"

#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "tests/proxy/config/dynamic/fixture.h"
#include "tests/proxy/transport/test_certificates.h"

namespace weft::config {
namespace {

namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;
using transport::SecretName;
using transport::SecretText;
using transport::testing::KeyKind;
using transport::testing::TestCertificate;

// A context that keeps what it was made of.
struct FakeUse final : transport::SecretUse {
  explicit FakeUse(std::vector<SecretName> names) : names(std::move(names)) {}
  const std::vector<SecretName>& secret_names() const override { return names; }
  absl::Status prepare(const std::vector<const SecretText*>& secrets) override {
    if (!refuse.empty()) return absl::InvalidArgumentError(refuse);
    prepared.clear();
    for (const SecretText* each : secrets) prepared.push_back(*each);
    return absl::OkStatus();
  }
  void commit() override {
    ++commits;
    in_force = std::exchange(prepared, {});
  }
  bool has_context() const override { return commits != 0; }

  std::vector<SecretName> names;
  std::vector<SecretText> prepared, in_force;
  std::string refuse;
  int commits = 0;
};

struct SecretsFixture : Fixture {
  // Tests keep their contexts themselves.
  static std::shared_ptr<transport::SecretUse> kept(FakeUse* use) { return {std::shared_ptr<void>(), use}; }
  std::unique_ptr<Secrets::Need> need(std::vector<FakeUse*> uses, std::string who = "cluster \"c\"") {
    Secrets::Uses all;
    for (FakeUse* use : uses) all.push_back(kept(use));
    auto made = secrets.need(std::move(who), std::move(all), [this] { ++settled; }, [this] { ++changed; });
    loop.advance_ms(1);
    return made;
  }
  static xds::Resource secret(const std::string& name, const TestCertificate& of, const TestCertificate& key) {
    tls_v3::Secret secret;
    secret.set_name(name);
    secret.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_string(of.pem());
    secret.mutable_tls_certificate()->mutable_private_key()->set_inline_string(key.key_pem());
    return packed(secret);
  }
  static xds::Resource packed(const tls_v3::Secret& secret) {
    xds::Resource resource{secret.name(), "1", {}};
    resource.body.PackFrom(secret);
    return resource;
  }
  // Of the files chain.pem and key.pem.
  static tls_v3::Secret by_file(const std::string& name, const std::string& watched_directory = "") {
    tls_v3::Secret secret;
    secret.set_name(name);
    secret.mutable_tls_certificate()->mutable_certificate_chain()->set_filename("/pki/chain.pem");
    secret.mutable_tls_certificate()->mutable_private_key()->set_filename("/pki/key.pem");
    if (!watched_directory.empty()) {
      secret.mutable_tls_certificate()->mutable_watched_directory()->set_path(watched_directory);
    }
    return secret;
  }
  void write(const TestCertificate& of, const TestCertificate& key) {
    files["/pki/chain.pem"] = of.pem();
    files["/pki/key.pem"] = key.key_pem();
    for (auto& [place, callback] : std::map(watches)) callback();
    loop.advance_ms(1);
  }
  std::vector<xds::Refusal> update(std::vector<xds::Resource> some) {
    return secrets.on_update("sds", {"", std::move(some), {}, false});
  }
  observe::SecretStats& stats(const std::string& name) {
    return parts.family<observe::SecretStats>("sds." + name + ".", "", "")->of_worker(0);
  }

  TestCertificate a{"a", "DNS:a.example", nullptr, KeyKind::kEcdsa};
  TestCertificate b{"b", "DNS:b.example", nullptr, KeyKind::kEcdsa};
  std::map<std::string, std::string> files;
  std::map<std::string, base::Callback<void()>> watches;
  int settled = 0, changed = 0;
  Secrets secrets{parts,
                  loop,
                  sources,
                  {[this](const std::string& path) -> absl::StatusOr<std::string> {
                     if (files.contains(path)) return files[path];
                     return absl::NotFoundError(path + ": cannot be opened");
                   },
                   [this](const std::string& directory, const std::string& name, base::Callback<void()> callback) {
                     watches.insert_or_assign(directory + "|" + name, callback);
                     return absl::StatusOr<uint64_t>(watches.size());
                   },
                   [this](uint64_t) { watches.clear(); }}};
};

}  // namespace

TEST_CASE("a context is made when its last secret has come, and again when one of them changes") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}, {"sds", "y"}});
  auto need = f.need({&use});
  CHECK_FALSE(need->settled());
  REQUIRE(f.source != nullptr);
  CHECK(f.source->names == std::vector<std::string>{"x", "y"});
  CHECK(f.update({f.secret("x", f.a, f.a)}).empty());
  CHECK(use.commits == 0);
  CHECK(f.update({f.secret("y", f.b, f.b)}).empty());
  CHECK(use.commits == 1);
  CHECK(f.settled == 1);
  CHECK(f.changed == 1);
  CHECK(need->settled());
  CHECK(f.update({f.secret("x", f.b, f.b)}).empty());
  CHECK(use.commits == 2);
  CHECK(f.changed == 2);
  CHECK(f.settled == 1);
  CHECK(use.in_force[0].secret == f.secret("x", f.b, f.b).body.value());
  // The same again changes nothing.
  CHECK(f.update({f.secret("x", f.b, f.b)}).empty());
  CHECK(use.commits == 2);
  CHECK(f.stats("x").update_success.value() == 3);
}

TEST_CASE("who needs a secret that is there already has it at once") {
  SecretsFixture f;
  FakeUse first({{"sds", "x"}}), second({{"sds", "x"}});
  auto need = f.need({&first});
  f.update({f.secret("x", f.a, f.a)});
  auto later = f.need({&second});
  CHECK(later->settled());
  CHECK(second.commits == 1);
  CHECK(f.settled == 1);
}

TEST_CASE("a context that two needs share is made anew once, and both are told") {
  SecretsFixture f;
  FakeUse shared({{"sds", "x"}}), own({{"sds", "x"}});
  auto before = f.need({&shared}, "listener \"l\"");
  f.update({f.secret("x", f.a, f.a)});
  auto after = f.need({&own, &shared}, "listener \"l\"");
  f.changed = 0;
  int so_far = shared.commits;
  CHECK(f.update({f.secret("x", f.b, f.b)}).empty());
  CHECK(shared.commits == so_far + 1);
  REQUIRE(shared.in_force.size() == 1);
  CHECK(shared.in_force[0].secret == f.secret("x", f.b, f.b).body.value());
  CHECK(own.in_force.size() == 1);
  CHECK(f.changed == 3);
}

TEST_CASE("a bad secret is refused by its field, without its key's text, and the last good one stays") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}});
  auto need = f.need({&use});
  f.update({f.secret("x", f.a, f.a)});
  auto refusals = f.update({f.secret("x", f.a, f.b)});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].name == "x");
  CHECK(refusals[0].reason.find("tls_certificate.private_key: inline: this is not the private key") == 0);
  CHECK(refusals[0].reason.find("BEGIN") == std::string::npos);
  CHECK(use.commits == 1);
  const Secrets::Entry& entry = *f.secrets.entries().at({"sds", "x"});
  CHECK(entry.held()->body.value() == f.secret("x", f.a, f.a).body.value());
  REQUIRE(entry.refused() != nullptr);
  CHECK(entry.refused()->reason == refusals[0].reason);
  CHECK(f.stats("x").update_rejected.value() == 1);
  f.update({f.secret("x", f.b, f.b)});
  CHECK(entry.refused() == nullptr);
}

TEST_CASE("what no secret can be is refused by its path") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}});
  auto need = f.need({&use});
  auto reason = [&f](tls_v3::Secret secret) {
    secret.set_name("x");
    auto refusals = f.update({f.packed(secret)});
    return refusals.empty() ? "" : refusals[0].reason;
  };
  tls_v3::Secret secret;
  CHECK(reason(secret).find("expected tls_certificate, validation_context or session_ticket_keys") !=
        std::string::npos);
  secret.mutable_generic_secret()->mutable_secret()->set_inline_string("hidden");
  CHECK(reason(secret).find("generic_secret") != std::string::npos);
  CHECK(reason(secret).find("hidden") == std::string::npos);
  secret.mutable_validation_context()->mutable_trusted_ca()->set_inline_string("no certificate");
  CHECK(reason(secret).find("validation_context.trusted_ca: inline: holds no PEM certificate") == 0);
  secret.mutable_session_ticket_keys()->add_keys()->set_inline_string("short");
  CHECK(reason(secret).find("session_ticket_keys.keys[0]: a session ticket key has 80 bytes, not 5") == 0);
  secret.mutable_tls_certificate()->mutable_private_key()->set_inline_string(f.a.key_pem());
  CHECK(reason(secret).find("tls_certificate.certificate_chain: is missing") == 0);
  secret.mutable_tls_certificate()->mutable_certificate_chain()->set_filename("/none");
  CHECK(reason(secret).find("/none: cannot be opened") == 0);
  CHECK(use.commits == 0);
}

TEST_CASE("a secret is in force in all contexts that are made of it, or in none") {
  SecretsFixture f;
  FakeUse one({{"sds", "x"}}), other({{"sds", "x"}});
  auto need = f.need({&one});
  auto strict = f.need({&other}, "listener \"l\"");
  f.update({f.secret("x", f.a, f.a)});
  other.refuse = "not this one";
  auto refusals = f.update({f.secret("x", f.b, f.b)});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason == "it does not fit listener \"l\": not this one");
  CHECK(one.commits == 1);
  CHECK(other.commits == 1);
}

TEST_CASE("who waits for a secret that does not come in time goes on without it, and has it when it comes") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}});
  auto need = f.need({&use});
  f.secrets.on_fetch_timeout("sds", {"x"});
  CHECK(f.settled == 1);
  CHECK(need->settled());
  CHECK(f.stats("x").init_fetch_timeout.value() == 1);
  f.update({f.secret("x", f.a, f.a)});
  CHECK(use.commits == 1);
  CHECK(f.settled == 1);
}

TEST_CASE("a need that goes gives up its secrets; a callback may let it go") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}});
  std::unique_ptr<Secrets::Need> need;
  need = f.secrets.need("cluster \"c\"", {f.kept(&use)}, [] {}, [&need] { need.reset(); });
  f.loop.advance_ms(1);
  f.update({f.secret("x", f.a, f.a)});
  CHECK(need == nullptr);
  CHECK(f.secrets.entries().empty());
  f.loop.advance_ms(1);
  CHECK_FALSE(f.sources.any());
}

TEST_CASE("a secret's files are watched, and read together when they change") {
  SecretsFixture f;
  FakeUse use({{"sds", "x"}});
  auto need = f.need({&use});
  f.write(f.a, f.a);
  CHECK(f.update({f.packed(f.by_file("x"))}).empty());
  CHECK(f.watches.size() == 2);
  CHECK(f.watches.contains("/pki|chain.pem"));
  REQUIRE(use.commits == 1);
  CHECK(use.in_force[0].files.at("/pki/key.pem") == f.a.key_pem());
  // Half of a rotation is no error that lasts.
  f.write(f.b, f.a);
  CHECK(use.commits == 1);
  CHECK(f.stats("x").key_rotation_failed.value() == 1);
  f.write(f.b, f.b);
  CHECK(use.commits == 2);
  CHECK(use.in_force[0].files.at("/pki/chain.pem") == f.b.pem());
  f.write(f.b, f.b);
  CHECK(use.commits == 2);
}

TEST_CASE("a secret that the configuration itself holds is there at once, and its directory is watched") {
  SecretsFixture f;
  f.write(f.a, f.a);
  FakeUse use({{"", f.by_file("", "/pki").SerializeAsString()}});
  auto need = f.need({&use});
  CHECK(need->settled());
  CHECK(use.commits == 1);
  CHECK(f.source == nullptr);
  CHECK(f.watches.contains("/pki|"));
  f.write(f.b, f.b);
  CHECK(use.commits == 2);
  CHECK(f.changed == 1);
}

std::string ads() {
  envoy::config::core::v3::ConfigSource source;
  source.mutable_ads();
  return source.SerializeAsString();
}

TEST_CASE("the process's own secret is asked of nobody, and comes to all who need it, now and later") {
  SecretsFixture f;
  f.secrets.make_own("default");
  FakeUse early({{ads(), "default"}});
  auto first = f.need({&early});
  CHECK(f.source == nullptr);
  CHECK_FALSE(first->settled());
  REQUIRE(f.secrets.give(f.secret("default", f.a, f.a).body.value()).ok());
  CHECK(first->settled());
  CHECK(f.settled == 1);
  CHECK(early.commits == 1);
  FakeUse late({{ads(), "default"}});
  auto second = f.need({&late});
  CHECK(second->settled());
  CHECK(late.commits == 1);
  REQUIRE(f.secrets.give(f.secret("default", f.b, f.b).body.value()).ok());
  CHECK(early.commits == 2);
  CHECK(late.commits == 2);
  CHECK(f.source == nullptr);
  const auto& shown = f.secrets.entries().at({ads(), "default"})->held();
  REQUIRE(shown.has_value());
  CHECK(shown->body.value().find("CERTIFICATE") != std::string::npos);
  CHECK(shown->body.value().find("PRIVATE KEY") == std::string::npos);
  int told = 0;
  f.secrets.visit([&](const ResourceKey&) { ++told; });
  CHECK(told == 0);
}

TEST_CASE("an own secret that is wrong, or fits somebody not, is refused and the one before stays") {
  SecretsFixture f;
  f.secrets.make_own("default");
  FakeUse use({{ads(), "default"}});
  auto need = f.need({&use});
  CHECK_FALSE(f.secrets.give(f.secret("default", f.a, f.b).body.value()).ok());
  CHECK_FALSE(f.secrets.give("no secret").ok());
  REQUIRE(f.secrets.give(f.secret("default", f.a, f.a).body.value()).ok());
  use.refuse = "too weak";
  absl::Status refused = f.secrets.give(f.secret("default", f.b, f.b).body.value());
  CHECK(std::string(refused.message()) == "it does not fit cluster \"c\": too weak");
  CHECK(use.commits == 1);
}

TEST_CASE("who needs the own secret does not wait for ever; a secret of that name elsewhere is another's") {
  SecretsFixture f;
  f.secrets.make_own("default");
  FakeUse use({{ads(), "default"}});
  auto need = f.need({&use});
  f.loop.advance_ms(Secrets::kOwnTimeoutMs + 1);
  CHECK(f.settled == 1);
  FakeUse other({{"sds", "default"}});
  auto from_source = f.need({&other});
  REQUIRE(f.source != nullptr);
  CHECK(f.source->names == std::vector<std::string>{"default"});
}

TEST_CASE("a cluster waits for its secrets, and its connections are renewed when they change") {
  SecretsFixture f;
  Clusters clusters(f.parts, {f.loop, f.random, nullptr}, f.sources, f.secrets, f);
  std::string tls =
      ", transport_socket: { name: tls, typed_config: { \"@type\": "
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: { "
      "tls_certificate_sds_secret_configs: [ { name: x, sds_config: { path: /secrets } } ] } } }";
  CHECK(clusters.on_clusters("", {"", {f.cluster("c", tls)}, {}, true}).empty());
  f.loop.advance_ms(1);
  CHECK(f.assigned == 0);
  std::string source = f.endpoint_source;
  CHECK(f.secrets.on_update(source, {"", {f.secret("x", f.a, f.a)}, {}, false}).empty());
  CHECK(f.running.contains("c"));
  int assigned = f.assigned;
  cluster::ClusterPtr running = f.running["c"];
  CHECK(f.secrets.on_update(source, {"", {f.secret("x", f.b, f.b)}, {}, false}).empty());
  CHECK(f.assigned == assigned + 1);
  CHECK(f.running["c"] == running);
  REQUIRE(running->own().connector->certificates().size() == 1);
  CHECK(running->own().connector->certificates()[0].dns_sans == std::vector<std::string>{"b.example"});
}

}  // namespace weft::config
