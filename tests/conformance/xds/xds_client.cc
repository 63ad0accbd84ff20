#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "proxy/cluster/cluster.h"
#include "proxy/cluster/slot.h"
#include "proxy/config/xds/grpc_source.h"
#include "proxy/config/xds/type.h"
#include "proxy/transport/socket_options.h"

// xds_client PORT sotw|delta ads|separate: takes all clusters and listeners of the control plane on a loopback port,
// the endpoints of each cluster and the routes that have a listener's name, and prints what it is given, one JSON
// object a line. It refuses resources whose bytes contain "refuse-me". Ends with its standard input.

namespace {

using namespace weft;
using namespace weft::config::xds;
using nlohmann::json;

void print(const json& line) {
  printf("%s\n", line.dump().c_str());
  fflush(stdout);
}

json names_of(const std::vector<std::string>& names) { return json(names); }

struct Printer final : Consumer {
  std::vector<Refusal> on_update(Type type, const Update& update) override {
    json changed = json::object();
    std::vector<Refusal> refusals;
    if (update.whole) have[type].clear();
    for (const Resource& resource : update.changed) {
      if (resource.body.value().find("refuse-me") != std::string::npos) {
        refusals.push_back({resource.name, "alt_stat_name: says refuse-me"});
        continue;
      }
      changed[resource.name] = resource.version;
      have[type].insert(resource.name);
    }
    for (const std::string& name : update.removed) have[type].erase(name);
    print({{"update", type_info(type).noun},
           {"version", update.version},
           {"changed", changed},
           {"removed", names_of(update.removed)},
           {"whole", update.whole},
           {"refused", refusals.size()}});
    if (type == Type::kCluster) source->subscribe(Type::kEndpoints, {have[type].begin(), have[type].end()});
    if (type == Type::kListener) source->subscribe(Type::kRoutes, {have[type].begin(), have[type].end()});
    return refusals;
  }
  void on_fetch_timeout(Type type, const std::vector<std::string>& names) override {
    print({{"timeout", type_info(type).noun}, {"names", names_of(names)}});
  }
  Source* source = nullptr;
  std::map<Type, std::set<std::string>> have;
};

// Ends the loop with the standard input.
struct InputEnd final : weft::event::IoEvents {
  explicit InputEnd(weft::event::LibeventLoop& loop) : loop(loop) { watch.start_level(loop, 0, *this, true, false); }
  void on_io(bool, bool) override { loop.stop(); }
  weft::event::LibeventLoop& loop;
  weft::event::IoWatch watch;
};

cluster::ClusterPtr control_plane_cluster(uint16_t port) {
  cluster::ClusterConfig config;
  config.name = config.stat_name = "control_plane";
  config.connector = transport::make_plain_connector({});
  config.protocol = cluster::UpstreamProtocol::kHttp2;
  auto made = std::make_shared<cluster::Cluster>(std::move(config), 1);
  auto host = std::make_shared<cluster::Host>(transport::Address::parse_ip("127.0.0.1", port), "", 1);
  made->set_hosts({{host}});
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: xds_client PORT sotw|delta ads|separate\n");
    return 2;
  }
  weft::event::LibeventLoop loop(base::system_clock());
  base::Random random(base::system_seed());
  auto upstreams = pool::make_worker_upstreams(loop, random, 0);
  pool::WorkerContext context{loop, random, *upstreams, 0};
  observe::ControlPlaneStats stats;
  StreamStates states(stats);
  Printer printer;
  GrpcSourceOptions options;
  cluster::ClusterPtr cluster = control_plane_cluster(static_cast<uint16_t>(atoi(argv[1])));
  cluster::ClusterSlots slots;
  cluster::ClusterSlotPtr slot = slots.slot(cluster->name());
  upstreams->assign(*slot, cluster);
  options.control_planes.push_back({cluster, {}});
  options.delta = strcmp(argv[2], "delta") == 0;
  options.aggregated = strcmp(argv[3], "ads") == 0;
  options.conversation.node.set_id("tester");
  options.backoff_base_ms = 50;
  options.backoff_max_ms = 200;
  auto source = std::make_unique<GrpcSource>(context, printer, std::move(options), states);
  printer.source = source.get();
  source->subscribe(Type::kCluster, {});
  source->subscribe(Type::kListener, {});
  InputEnd input(loop);
  loop.run();
  input.watch.stop();
  source.reset();
  loop.run_until_quiet();
  upstreams.reset();
  return 0;
}
