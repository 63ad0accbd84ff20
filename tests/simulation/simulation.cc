#include "tests/simulation/simulation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control-plane/server/mesh.h"
#include "proxy/base/hash.h"
#include "tests/simulation/control_plane.h"
#include "tests/simulation/proxy.h"
#include "tests/simulation/stack.h"
#include "tests/simulation/workload.h"

namespace weft::simulation {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
// Backoff at its longest, an end that nobody has seen yet, time-outs of what never came, and a slow reader.
constexpr int64_t kSettleWithinUs = 150 * kSecondUs;
constexpr int64_t kIdleUs = 60 * kSecondUs;
// Until the last end that nobody has seen yet is seen, and its stream is there again.
constexpr int64_t kLastWordsUs = 40 * kSecondUs;
// No requests gather at a proxy, whatever the network does: a few of each type.
constexpr size_t kMaxUnsent = 64;

// Proxies of a run in which each can be looked after with care.
constexpr int kSmall = 50;

class Simulation {
 public:
  explicit Simulation(const Options& options)
      : options_(options),
        journal_(options.print),
        world_(base::xxhash64("world", options.seed), journal_),
        control_plane_(world_, options.store),
        server_(options.whole_stack ? std::make_unique<Server>(world_, control_plane_) : nullptr),
        workload_(world_, control_plane_, base::xxhash64("workload", options.seed), options.services) {}

  Result run() {
    workload_.begin();
    for (int i = 0; i < options_.proxies; ++i) add_proxy(i);
    for (int step = 0; step < options_.steps && !journal_.failed(); ++step) {
      this->step();
      check_bounds();
    }
    calm();
    settle();
    stay_idle();
    Result result{.hash = journal_.hash(),
                  .failure = journal_.failure(),
                  .lines = journal_.lines(),
                  .commits = workload_.commits(),
                  .responses = control_plane_.responses(),
                  .settled_ms = settled_ms_};
    proxies_.clear();
    return result;
  }

 private:
  Proxy& any() { return *proxies_[world_.chance().below(proxies_.size())]; }

  std::string any_service() {
    return Workload::service_name(world_.chance().below(static_cast<uint64_t>(options_.services)));
  }

  void add_proxy(int index) {
    Proxy::Options proxy;
    proxy.name = absl::StrCat("proxy-", index);
    proxy.salt = base::xxhash64(proxy.name, options_.seed);
    const std::string& namespace_name = Workload::namespaces()[world_.chance().below(Workload::namespaces().size())];
    proxy.node.set_id(proxy.name);
    proxy.node.set_cluster(namespace_name);
    auto& metadata = *proxy.node.mutable_metadata()->mutable_fields();
    metadata["namespace"].set_string_value(namespace_name);
    proxy.delta = world_.once_in(2);
    // Who reports gets each resource with its own version, in the state of the world too.
    if (world_.once_in(3)) proxy.node.add_client_features("weft.reports");
    proxy.aggregated = !world_.once_in(10);
    if (world_.once_in(8)) {
      proxy.node.set_user_agent_name("gRPC simulated");
      for (int i = 0; i < 3; ++i) {
        proxy.listeners.push_back(absl::StrCat(any_service(), ".", namespace_name, ":80"));
      }
    } else {
      metadata["outbound_port"].set_number_value(15001);
      // In a large run few, or every service would have hundreds of endpoints.
      if (world_.once_in(options_.proxies <= kSmall ? 3 : 50)) add_application(index, metadata);
      if (world_.once_in(4)) {
        auto& scope = *metadata["scope"].mutable_list_value();
        scope.add_values()->set_string_value(any_service());
        scope.add_values()->set_string_value(absl::StrCat(Workload::namespaces()[0], "/", any_service()));
      }
      // All of a small run, a few of a large one.
      proxy.real_clusters = options_.proxies <= kSmall || world_.once_in(50);
    }
    if (world_.once_in(4)) proxy.refused_per_mille = static_cast<uint64_t>(world_.between(10, 200));
    proxy.vague = world_.once_in(3) && !options_.whole_stack;
    proxy.rate_limited = world_.once_in(5);
    proxies_.push_back(std::make_unique<Proxy>(world_, control_plane_, server_.get(), references_, proxy));
  }

  void add_application(int index, google::protobuf::Map<std::string, google::protobuf::Value>& metadata) {
    metadata["service"].set_string_value(any_service());
    metadata["inbound_address"].set_string_value(absl::StrCat("10.9.", index / 250, ".", 1 + index % 250));
    metadata["inbound_port"].set_number_value(15006);
    metadata["app_port"].set_number_value(8080);
  }

  void step() {
    const uint64_t what = world_.chance().below(100);
    if (what < 50) {
      workload_.change();
    } else if (what < 55) {
      for (int64_t i = world_.between(2, 8); i > 0; --i) workload_.change();
    } else if (what < 70) {
      any().cut();
    } else if (what < 73) {
      storm();
    } else if (what < 77) {
      crash();
    } else if (what < 82) {
      restart_proxy();
    } else if (what < 92) {
      any().streams().set_read_delay_us(world_.once_in(2) ? 0 : world_.between(1'000, 800'000));
    } else {
      any().streams().isolate_until(world_.now_us() + world_.between(1, 30) * kSecondUs);
    }
    const int64_t pause_us = world_.once_in(10)  ? world_.between(0, 20 * kSecondUs)
                             : world_.once_in(2) ? world_.between(0, 3'000)
                                                 : world_.between(0, kSecondUs);
    world_.run_until(world_.now_us() + pause_us);
  }

  // Everybody comes back at once.
  void storm() {
    for (auto& proxy : proxies_) proxy->cut();
  }

  void crash() {
    control_plane_.crash();
    if (server_ != nullptr) server_->crash();
    // Bytes that have arrived are still read, and until a proxy knows that its stream is gone it does what it was told.
    world_.run_until(world_.now_us() + ControlPlane::kCrashKnownUs + kSecondUs);
    const std::vector<uint64_t> before = fingerprints();
    world_.run_until(world_.now_us() + world_.between(0, 10 * kSecondUs));
    // Without it everything goes on as it was.
    const std::vector<uint64_t> after = fingerprints();
    const auto differ = std::mismatch(before.begin(), before.end(), after.begin());
    if (differ.first != before.end())
      world_.fail(absl::StrCat(proxies_[static_cast<size_t>(differ.first - before.begin())]->options().name,
                               " holds something else without a control plane"));
    control_plane_.start();
  }

  // By proxy.
  std::vector<uint64_t> fingerprints() const {
    std::vector<uint64_t> all;
    for (const auto& proxy : proxies_) all.push_back(proxy->holder().fingerprint());
    return all;
  }

  void restart_proxy() {
    std::unique_ptr<Proxy>& proxy = proxies_[world_.chance().below(proxies_.size())];
    const Proxy::Options options = proxy->options();
    world_.note(absl::StrCat(options.name, " restarts"));
    proxy.reset();
    proxy = std::make_unique<Proxy>(world_, control_plane_, server_.get(), references_, options);
  }

  void check_bounds() {
    control_plane_.check_memory();
    for (const auto& proxy : proxies_) {
      if (proxy->streams().unsent() > kMaxUnsent)
        world_.fail(absl::StrCat(proxy->options().name, " has ", proxy->streams().unsent(), " unsent requests"));
    }
  }

  void calm() {
    world_.note("calm");
    for (auto& proxy : proxies_) {
      proxy->streams().isolate_until(0);
      proxy->streams().set_read_delay_us(0);
    }
  }

  // Empty if nothing is under way; else what is.
  std::string unrest() const {
    size_t open = 0;
    for (const auto& proxy : proxies_) {
      if (!proxy->streams().connected()) return absl::StrCat(proxy->options().name, " is not connected");
      open += proxy->streams().open();
    }
    if (open != control_plane_.session_count())
      return absl::StrCat("there are ", control_plane_.session_count(), " sessions of ", open, " streams");
    for (const control::xds::NodeStatus& node : control_plane_.hub().status()) {
      if (!node.is_settled) return absl::StrCat("a stream of ", node.id, " is not settled");
    }
    return {};
  }

  // Empty if everybody has the newest; else what is not.
  std::string difference() {
    // Compiled at once, by somebody who knows nothing of how it came about.
    control::server::Mesh expected(control_plane_.model_from_store(), {});
    size_t applications = 0;
    for (const auto& proxy : proxies_) {
      const std::string& name = proxy->options().name;
      const auto view = expected.acquire(proxy->options().node);
      if (!view.ok()) return std::string(view.status().message());
      std::string what = proxy->difference(**view);
      if (!what.empty()) return absl::StrCat("of ", name, " ", what);
      what = workload_difference(*proxy, applications);
      if (!what.empty()) return absl::StrCat("the workload of ", name, " ", what);
    }
    if (applications != control_plane_.workloads().size())
      return absl::StrCat("there are ", control_plane_.workloads().size(), " workloads of ", applications);
    if (control_plane_.mesh().view_count() != expected.view_count())
      return absl::StrCat("there are ", control_plane_.mesh().view_count(), " views for ", expected.view_count(),
                          " audiences");
    return {};
  }

  // A proxy before an application is an endpoint of its service once it has the listener for it.
  std::string workload_difference(const Proxy& proxy, size_t& applications) const {
    const auto& metadata = proxy.options().node.metadata().fields();
    if (!metadata.contains("app_port")) return {};
    ++applications;
    const auto found = control_plane_.workloads().find(
        {metadata.at("namespace").string_value(), metadata.at("service").string_value(), proxy.options().name});
    if (found == control_plane_.workloads().end()) return "is not there";
    if (found->second.away) return "is away";
    // Of who refuses, it is not always known what else of a response was taken.
    const bool holds =
        proxy.options().refused_per_mille == 0 && proxy.holder().held(config::xds::Type::kListener).contains("inbound");
    return holds && !found->second.listening ? "is not ready though its proxy listens" : "";
  }

  void settle() {
    const int64_t begin_us = world_.now_us();
    while (!journal_.failed()) {
      std::string what = unrest();
      if (what.empty()) what = difference();
      settled_ms_ = (world_.now_us() - begin_us) / 1000;
      if (what.empty()) break;
      if (world_.now_us() - begin_us > kSettleWithinUs)
        return world_.fail(absl::StrCat("not at rest ", settled_ms_, " ms after the last fault: ", what));
      world_.run_until(world_.now_us() + kSecondUs);
    }
    world_.note("at rest");
    check_bounds();
  }

  // What is at rest says nothing more.
  void stay_idle() {
    if (journal_.failed()) return;
    // What is given up late is answered once more, and who finds its stream ended comes back.
    world_.run_until(world_.now_us() + kLastWordsUs);
    const uint64_t responses = control_plane_.responses();
    const std::vector<uint64_t> before = fingerprints();
    world_.run_until(world_.now_us() + kIdleUs);
    if (control_plane_.responses() != responses)
      world_.fail(absl::StrCat(control_plane_.responses() - responses, " responses were sent with nothing to say"));
    if (fingerprints() != before) world_.fail("something changed after all was at rest");
  }

  const Options& options_;
  Journal journal_;
  World world_;
  References references_;
  ControlPlane control_plane_;
  std::unique_ptr<Server> server_;
  Workload workload_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
  int64_t settled_ms_ = 0;
};

}  // namespace

Result run(const Options& options) {
  // Far from small: a loop has its wheel of timers within.
  return std::make_unique<Simulation>(options)->run();
}

Options shrink(Options failing) {
  failing.print = nullptr;
  const auto try_less = [&](int Options::* what, int least) {
    for (int by = (failing.*what - least) / 2; by > 0;) {
      Options smaller = failing;
      smaller.*what -= by;
      if (run(smaller).failure.empty()) {
        by /= 2;
      } else {
        failing = smaller;
        by = std::min(by, (failing.*what - least) / 2);
      }
    }
  };
  try_less(&Options::steps, 0);
  try_less(&Options::proxies, 1);
  try_less(&Options::services, 1);
  try_less(&Options::steps, 0);
  return failing;
}

std::string command(const Options& options) {
  return absl::StrCat("bazel run --config=release //tests/simulation:simulate -- --seed ", options.seed, " --proxies ",
                      options.proxies, " --steps ", options.steps, " --services ", options.services,
                      options.whole_stack ? " --whole-stack" : "");
}

}  // namespace weft::simulation
