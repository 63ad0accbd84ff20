#include "tests/simulation/stack.h"

#include <array>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/config/xds/grpc_source.h"
#include "proxy/config/xds/shared_source.h"

namespace weft::simulation {
namespace {

using config::xds::Type;

// Connections of one proxy to the control plane.
class PipeConnector final : public transport::Connector {
 public:
  PipeConnector(World& world, Server& server, std::string name)
      : world_(world), server_(server), name_(std::move(name)) {}

  std::unique_ptr<transport::ByteStream> connect(event::Loop&, const transport::Address&) override {
    pipe_ = std::make_shared<Pipe>(world_, absl::StrCat(name_, "#", ++connections_));
    pipe_->set_read_delay_us(read_delay_us_);
    auto stream = pipe_->stream(Side::kProxy);
    // Whoever does not answer leaves the proxy to its connect timeout.
    if (world_.now_us() < isolated_until_us_) return stream;
    world_.at(world_.between(200, 20'000), [&server = server_, pipe = pipe_] {
      if (!pipe->has_stream(Side::kProxy)) return;
      server.accept(pipe) ? pipe->connected() : pipe->refused();
    });
    return stream;
  }

  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) {
    if (pipe_ != nullptr) pipe_->cut(proxy_learns_us, control_plane_learns_us);
  }
  void isolate_until(int64_t us) { isolated_until_us_ = us; }
  void set_read_delay_us(int64_t us) {
    read_delay_us_ = us;
    if (pipe_ != nullptr) pipe_->set_read_delay_us(us);
  }

 private:
  World& world_;
  Server& server_;
  const std::string name_;
  // The newest.
  PipePointer pipe_;
  uint64_t connections_ = 0;
  int64_t isolated_until_us_ = 0;
  int64_t read_delay_us_ = 0;
};

cluster::ClusterPtr control_plane_cluster(std::shared_ptr<transport::Connector> connector) {
  cluster::ClusterConfig config;
  config.name = config.stat_name = "control";
  config.connector = std::move(connector);
  config.connect_timeout_ms = 5'000;
  config.protocol = cluster::UpstreamProtocol::kHttp2;
  auto cluster = std::make_shared<cluster::Cluster>(std::move(config), 1);
  cluster->set_hosts({{std::make_shared<cluster::Host>(transport::Address::parse_ip("10.0.0.1", 15010), "", 1)}});
  return cluster;
}

class StackStreams final : public Streams {
 public:
  StackStreams(World& world, Server& server, config::xds::Consumer& consumer, StackOptions options)
      : world_(world),
        consumer_(consumer),
        connector_(std::make_shared<PipeConnector>(world, server, options.name)),
        random_(world.chance().next()),
        upstreams_(pool::make_worker_upstreams(world.loop(), random_, 0)),
        context_{world.loop(), random_, *upstreams_, 0} {
    cluster::ClusterPtr cluster = control_plane_cluster(connector_);
    upstreams_->assign(*slots_.slot("control"), cluster);
    config::xds::GrpcSourceOptions source;
    source.control_planes.push_back({cluster, {}});
    source.delta = options.delta;
    source.aggregated = options.aggregated;
    source.conversation = {options.node, true};
    if (options.rate_limited) source.rate_limit = config::xds::RateLimit{.max_tokens = 10, .per_second = 5};
    if (options.aggregated) {
      shared_ = std::make_unique<config::xds::SharedSource>(context_, std::move(source), states_);
    } else {
      source_ = std::make_unique<config::xds::GrpcSource>(context_, consumer, std::move(source), states_);
    }
  }
  ~StackStreams() override {
    for (auto& share : shares_) share.reset();
    shared_.reset();
    source_.reset();
    world_.loop().turn();
    upstreams_->drain();
    world_.loop().turn();
  }

  void subscribe(Type type, std::vector<std::string> names) override {
    types_.insert(type);
    if (source_ != nullptr) return source_->subscribe(type, std::move(names));
    auto& share = shares_[static_cast<size_t>(type)];
    if (share == nullptr) share = shared_->share(type, consumer_, config::xds::kInitialFetchTimeoutMs);
    share->subscribe(type, std::move(names));
  }
  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) override {
    connector_->cut(proxy_learns_us, control_plane_learns_us);
  }
  void isolate_until(int64_t us) override { connector_->isolate_until(us); }
  void set_read_delay_us(int64_t us) override { connector_->set_read_delay_us(us); }
  bool connected() const override {
    if (source_ != nullptr) return source_->connected();
    for (const auto& share : shares_) {
      if (share != nullptr) return share->connected();
    }
    return false;
  }
  size_t open() const override { return !connected() ? 0 : source_ != nullptr ? types_.size() : 1; }
  size_t unsent() const override { return static_cast<size_t>(stats_.pending_requests.value()); }

 private:
  World& world_;
  config::xds::Consumer& consumer_;
  const std::shared_ptr<PipeConnector> connector_;
  base::Random random_;
  cluster::ClusterSlots slots_;
  const std::unique_ptr<pool::WorkerUpstreams> upstreams_;
  pool::WorkerContext context_;
  observe::ControlPlaneStats stats_;
  config::xds::StreamStates states_{stats_};
  std::unique_ptr<config::xds::SharedSource> shared_;
  std::array<std::unique_ptr<config::xds::Source>, config::xds::kTypes> shares_;
  std::unique_ptr<config::xds::GrpcSource> source_;
  std::set<Type> types_;
};

}  // namespace

std::unique_ptr<Streams> make_stack_streams(World& world, Server& server, config::xds::Consumer& consumer,
                                            StackOptions options) {
  return std::make_unique<StackStreams>(world, server, consumer, std::move(options));
}

}  // namespace weft::simulation
