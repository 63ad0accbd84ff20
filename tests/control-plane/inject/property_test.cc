// What holds for every pod: injecting twice is injecting once, and taking out gives back what was.

#include <catch2/catch.hpp>
#include <random>

#include "control-plane/inject/pod.h"

namespace weft::control::inject {
namespace {

using text::Tree;

class Maker {
 public:
  explicit Maker(uint32_t seed) : random_(seed) {}

  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  template <typename Type, size_t size>
  Type one_of(const Type (&all)[size]) {
    return all[random_() % size];
  }

  Settings settings() {
    Settings out = default_settings();
    out.native = chance(50);
    out.hold_application = chance(50);
    out.rewrite_probes = chance(80);
    out.dns = chance(30);
    if (chance(50)) {
      out.ca = "-----BEGIN CERTIFICATE-----";
      out.ca_config_map.clear();
    }
    if (chance(30)) out.token_secret = "join";
    if (chance(30)) out.cpu_limit = "1";
    return out;
  }

  Tree pod() {
    Tree out = Tree::object();
    if (chance(80)) out["metadata"] = metadata();
    Tree spec = Tree::object();
    // Absent, null, empty and filled are four different things, and none may become another.
    maybe(&spec, "initContainers", [this](int i) { return container("init-", i); });
    if (chance(30)) spec["unknownField"] = {{"z", 1}, {"a", nullptr}};
    spec["containers"] = Tree::array();
    for (int i = static_cast<int>(random_() % 3); i >= 0; --i) spec["containers"].push_back(container("app-", i));
    maybe(&spec, "volumes",
          [](int i) { return Tree{{"name", "v" + std::to_string(i)}, {"emptyDir", Tree::object()}}; });
    out["spec"] = std::move(spec);
    return out;
  }

 private:
  template <typename Make>
  void maybe(Tree* parent, const char* key, Make make) {
    switch (random_() % 4) {
      case 0:
        return;
      case 1:
        (*parent)[key] = nullptr;
        return;
      case 2:
        (*parent)[key] = Tree::array();
        return;
      default:
        (*parent)[key] = Tree::array();
        for (int i = static_cast<int>(random_() % 3); i >= 0; --i) (*parent)[key].push_back(make(i));
    }
  }

  Tree metadata() {
    if (chance(10)) return nullptr;
    Tree out = Tree::object();
    if (chance(50)) out["labels"] = {{"app", "cart"}};
    switch (random_() % 4) {
      case 0:
        break;
      case 1:
        out["annotations"] = nullptr;
        break;
      case 2:
        out["annotations"] = Tree::object();
        break;
      default:
        out["annotations"] = {{"note", "x"}, {"kubectl.kubernetes.io/default-container", "app-0"}};
    }
    if (chance(30)) out["generateName"] = "cart-";
    return out;
  }

  Tree container(const char* prefix, int i) {
    Tree out = {{"name", prefix + std::to_string(i)}, {"image", "x"}};
    if (chance(50)) out["ports"] = Tree::array({{{"name", "web"}, {"containerPort", 8080}}});
    static const char* const kProbes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    for (const char* probe : kProbes) {
      if (chance(50)) out[probe] = this->probe();
    }
    if (chance(30)) out["restartPolicy"] = "Always";
    return out;
  }

  Tree probe() {
    Tree out = Tree::object();
    if (chance(50)) out["periodSeconds"] = 3;
    static const char* const kHandlers[] = {"httpGet", "tcpSocket", "grpc", "exec"};
    const char* handler = one_of(kHandlers);
    Tree asked = Tree::object();
    if (chance(70)) asked["path"] = "/x";
    if (chance(50)) {
      asked["port"] = 8080;
    } else {
      asked["port"] = "web";
    }
    if (chance(10)) asked["host"] = "elsewhere";
    if (chance(5)) asked["port"] = 15021;
    out[handler] = std::move(asked);
    if (chance(50)) out["timeoutSeconds"] = 2;
    return out;
  }

  std::mt19937 random_;
};

TEST_CASE("injecting is idempotent, and taking out is its inverse, for every pod") {
  int injected = 0;
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    INFO("seed " << seed);
    Maker maker(seed);
    PodContext context;
    context.settings = maker.settings();
    context.workload_name = "cart";
    context.locate = [](std::string_view path) { return std::string(path); };
    const Tree before = maker.pod();
    INFO(before.dump());

    Tree once = before;
    absl::StatusOr<Outcome> outcome = inject_pod(context, &once);
    REQUIRE(outcome.ok());
    REQUIRE(outcome->skipped.empty());
    REQUIRE(once != before);
    ++injected;

    Tree twice = once;
    outcome = inject_pod(context, &twice);
    REQUIRE(outcome.ok());
    CHECK(!outcome->is_changed);
    REQUIRE(twice.dump() == once.dump());

    // Whatever it was injected with, the newest settings hold.
    Tree anew = once, fresh = before;
    context.settings = maker.settings();
    REQUIRE(inject_pod(context, &anew).ok());
    REQUIRE(inject_pod(context, &fresh).ok());
    REQUIRE(anew.dump() == fresh.dump());

    REQUIRE(uninject_pod(context, &once).ok());
    // Equal in the order of keys, too.
    REQUIRE(once.dump() == before.dump());
  }
  CHECK(injected == 3000);
}

TEST_CASE("what others change in an injected pod stays when the sidecar goes") {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Maker maker(seed);
    PodContext context;
    context.settings = maker.settings();
    context.locate = [](std::string_view path) { return std::string(path); };
    Tree before = maker.pod(), made = before;
    REQUIRE(inject_pod(context, &made).ok());
    const Tree extra = {{"name", "extra"}, {"image", "y"}};
    made["spec"]["containers"].insert(made["spec"]["containers"].begin(), extra);
    made["spec"]["volumes"].push_back({{"name", "extra"}});
    made["metadata"]["annotations"]["extra"] = "1";
    REQUIRE(uninject_pod(context, &made).ok());
    CHECK(made["spec"]["containers"].size() == before["spec"]["containers"].size() + 1);
    CHECK(made["spec"]["volumes"].back()["name"] == "extra");
    CHECK(made["metadata"]["annotations"]["extra"] == "1");
    CHECK(made.dump().find("weft") == std::string::npos);
  }
}

}  // namespace
}  // namespace weft::control::inject
