#include "proxy/config/kept/kept_config.h"

#include <fstream>

#include "envoy/config/core/v3/config_source.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "tests/proxy/config/kept/folder.h"

namespace weft::config {
namespace {

using xds::Type;

std::string ads(int64_t timeout_s = 0) {
  envoy::config::core::v3::ConfigSource source;
  source.mutable_ads();
  if (timeout_s != 0) source.mutable_initial_fetch_timeout()->set_seconds(timeout_s);
  return source.SerializeAsString();
}

xds::Resource resource(const std::string& name, const std::string& version = "1") {
  xds::Resource result{name, version, {}};
  result.body.set_value(name + version);
  return result;
}

xds::Resource secret(const std::string& name, bool inline_key) {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.set_name(name);
  secret.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_string("chain");
  auto* key = secret.mutable_tls_certificate()->mutable_private_key();
  inline_key ? key->set_inline_string("the private key") : key->set_filename("/key.pem");
  xds::Resource result{name, "1", {}};
  result.body.PackFrom(secret);
  return result;
}

struct Kept {
  explicit Kept(std::string node = "n", bool private_keys = false) : node(std::move(node)), private_keys(private_keys) {
    restart();
  }
  void restart() {
    kept.reset();
    kept = std::make_unique<KeptConfig>(loop, KeptConfig::Options{folder.path, node, private_keys});
  }
  observe::KeptConfigStats& stats() {
    return static_cast<observe::Family<observe::KeptConfigStats>&>(const_cast<observe::FamilyBase&>(kept->family()))
        .of_worker(0);
  }
  // As after a restart, when nothing answers.
  std::vector<std::string> restored(Type type, const std::vector<std::string>& names = {}, std::string source = ads()) {
    CHECK(kept->on_fetch_timeout(source));
    std::vector<std::string> result;
    if (auto update = kept->restore(source, type, names)) {
      for (const xds::Resource& each : update->changed) result.push_back(each.name + each.version);
    }
    return result;
  }

  std::string node;
  bool private_keys;
  Folder folder;
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  std::unique_ptr<KeptConfig> kept;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("what was accepted last is there after a restart") {
  Kept f;
  f.kept->on_update(ads(), Type::kCluster, {"1", {resource("a"), resource("b")}, {}, true}, {});
  f.loop.advance_ms(1'000);
  CHECK(f.stats().writes.value() == 1);
  f.kept->on_update(ads(), Type::kCluster, {"2", {resource("a", "2"), resource("c", "2")}, {}, true}, {{"a", "bad"}});
  f.restart();
  CHECK(f.folder.files() == 1);
  CHECK(f.restored(Type::kCluster) == Names{"a1", "c2"});
  CHECK(f.kept->restored(ads(), Type::kCluster, "a"));
  CHECK(f.stats().restored_resources.value() == 2);
  auto update = f.kept->restore(ads(), Type::kCluster, {});
  CHECK(update->whole);
  CHECK(update->version == "1");
  // A time-out is no part of the source.
  CHECK(f.kept->away(ads(30)));
  CHECK(f.kept->restore(ads(30), Type::kCluster, {}).has_value());
}

TEST_CASE("of types that are asked for by name only what is wanted is kept, and only what is asked for restored") {
  Kept f;
  f.kept->on_wanted(ads(), Type::kEndpoints, {"a", "b", "c"});
  f.kept->on_update(ads(), Type::kEndpoints, {"", {resource("a"), resource("b"), resource("c")}, {}, false}, {});
  f.kept->on_update(ads(), Type::kEndpoints, {"", {resource("b", "2")}, {"a"}, false}, {});
  f.kept->on_wanted(ads(), Type::kEndpoints, {"a", "b"});
  f.restart();
  CHECK(f.restored(Type::kEndpoints, {"a", "c"}).empty());
  CHECK(f.restored(Type::kEndpoints, {"b"}) == Names{"b2"});
  CHECK_FALSE(f.kept->restore(ads(), Type::kRoutes, {"b"}).has_value());
}

TEST_CASE("a source that has spoken is not away, and its word replaces what was restored") {
  Kept f;
  f.kept->on_update(ads(), Type::kCluster, {"1", {resource("a"), resource("b")}, {}, true}, {});
  f.restart();
  CHECK(f.restored(Type::kCluster) == Names{"a1", "b1"});
  f.kept->on_update(ads(), Type::kCluster, {"2", {resource("a", "2")}, {}, true}, {});
  CHECK_FALSE(f.kept->away(ads()));
  CHECK_FALSE(f.kept->restored(ads(), Type::kCluster, "a"));
  CHECK(f.stats().restored_resources.value() == 0);
  CHECK_FALSE(f.kept->on_fetch_timeout(ads()));
}

TEST_CASE("private keys are written only where that was said") {
  for (bool private_keys : {false, true}) {
    Kept f("n", private_keys);
    f.kept->on_wanted(ads(), Type::kSecret, {"by file", "inline"});
    f.kept->on_update(ads(), Type::kSecret, {"", {secret("by file", false), secret("inline", true)}, {}, false}, {});
    f.restart();
    Names expected = private_keys ? Names{"by file1", "inline1"} : Names{"by file1"};
    CHECK(f.restored(Type::kSecret, {"by file", "inline"}) == expected);
    for (const auto& each : std::filesystem::directory_iterator(f.folder.path)) {
      std::ifstream file(each.path());
      std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      CHECK((bytes.find("the private key") != std::string::npos) == private_keys);
    }
  }
}

TEST_CASE("a damaged file and another node's are refused and counted, and nothing is taken of them") {
  Kept f;
  f.kept->on_update(ads(), Type::kCluster, {"1", {resource("a")}, {}, true}, {});
  f.node = "other";
  f.restart();
  CHECK(f.restored(Type::kCluster).empty());
  CHECK(f.stats().refused_files.value() == 1);
  f.node = "n";
  f.restart();
  CHECK(f.restored(Type::kCluster) == Names{"a1"});
  std::filesystem::resize_file(std::filesystem::directory_iterator(f.folder.path)->path(), 40);
  f.restart();
  CHECK(f.restored(Type::kCluster).empty());
  CHECK(f.stats().refused_files.value() == 1);
}

TEST_CASE("files are sources that need no keeping") {
  Kept f;
  envoy::config::core::v3::ConfigSource file;
  file.mutable_path_config_source()->set_path("/x");
  f.kept->on_update(file.SerializeAsString(), Type::kCluster, {"1", {resource("a")}, {}, true}, {});
  f.restart();
  CHECK(f.folder.files() == 0);
  CHECK_FALSE(f.kept->on_fetch_timeout(file.SerializeAsString()));
}

TEST_CASE("a disk that takes nothing is told and harms nothing else") {
  Kept f;
  std::filesystem::remove_all(f.folder.path);
  f.kept->on_update(ads(), Type::kCluster, {"1", {resource("a")}, {}, true}, {});
  f.loop.advance_ms(1'000);
  CHECK(f.stats().write_failures.value() == 1);
}

TEST_CASE("a node without an id keeps nothing") {
  Folder folder;
  CHECK_FALSE(KeptConfig::check({folder.path, "", false}).ok());
  CHECK(KeptConfig::check({folder.path, "n", false}).ok());
}

}  // namespace weft::config
