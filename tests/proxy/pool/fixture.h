#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/pool/pool.h"
#include "tests/fake/streams.h"
#include "tests/proxy/codec/http1/recorder.h"

// A cluster of fake hosts with a worker's pools in front of it, and requests that want a stream of it.

namespace weft::pool {

// Sends a GET as soon as it has a stream, and keeps what became of it.
struct Request final : StreamWaiter {
  codec::ResponseEvents& response_events() override { return answer; }
  void on_stream_ready(codec::ClientStream& ready, UpstreamConnection& by) override {
    stream = &ready;
    connection = &by;
    reused = by.reused();
    http::RequestHead head(answer.memory);
    head.method = "GET";
    head.method_id = http::Method::kGet;
    head.scheme = "http";
    head.authority = "a";
    head.path = "/";
    stream->send_head(head, true);
    connection->schedule_flush();
  }
  void on_stream_failed(http::Cause why, std::string_view) override {
    failed = true;
    cause = why;
  }
  cluster::Priority priority() const override { return asked_priority; }
  bool wants_tunnel() const override { return tunnel; }
  bool wants_new_connection() const override { return fresh; }
  http::Version downstream_version() const override { return version; }

  bool waits() const { return stream == nullptr && !failed; }
  bool answered() const { return answer.ended && answer.closed; }

  codec::ResponseRecorder answer;
  codec::ClientStream* stream = nullptr;
  UpstreamConnection* connection = nullptr;
  bool reused = false, failed = false, tunnel = false, fresh = false;
  cluster::Priority asked_priority = cluster::Priority::kDefault;
  http::Cause cause = http::Cause::kNone;
  http::Version version = http::Version::kHttp11;
};

struct Fixture {
  explicit Fixture(const std::function<void(cluster::ClusterConfig&)>& change = nullptr) {
    cluster::ClusterConfig config;
    config.name = config.stat_name = "c";
    config.connector = connector;
    config.connect_timeout_ms = 1'000;
    config.idle_timeout_ms = 60'000;
    if (change != nullptr) change(config);
    cluster = std::make_shared<cluster::Cluster>(std::move(config), 1);
    for (uint16_t port : {1, 2}) {
      hosts.push_back(std::make_shared<cluster::Host>(transport::Address::parse_ip("10.0.0.1", port), "", 1));
    }
    cluster->set_hosts({hosts});
    upstreams = make_worker_upstreams(loop, random, 0);
    upstreams->assign(*slot, cluster);
    pools = upstreams->find(*slot);
  }

  Request& request(int host = 0, cluster::Priority priority = cluster::Priority::kDefault, bool tunnel = false) {
    requests.push_back(std::make_unique<Request>());
    requests.back()->asked_priority = priority;
    requests.back()->tunnel = tunnel;
    pools->acquire_stream(hosts[static_cast<size_t>(host)], *requests.back());
    return *requests.back();
  }
  // Of a request whose connection before turned out to be stale.
  Request& request_fresh() {
    requests.push_back(std::make_unique<Request>());
    requests.back()->fresh = true;
    pools->acquire_stream(hosts[0], *requests.back());
    return *requests.back();
  }
  // As many connections to a host that has none; each has carried a request and waits for the next.
  void idle(int count, int host = 0) {
    size_t first = wires();
    for (int i = 0; i < count; ++i) request(host);
    for (size_t i = first; i < wires(); ++i) accept(i);
    for (size_t i = first; i < wires(); ++i) arrive(i, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  }
  void start_requests(int count) {
    for (int i = 0; i < count; ++i) request();
  }
  fake::Wire& wire(size_t i) { return *connector->wires.at(i); }
  size_t wires() const { return connector->wires.size(); }
  void accept(size_t i, std::string_view alpn = {}) {
    wire(i).alpn = alpn;
    wire(i).accept();
    loop.turn();
  }
  void arrive(size_t i, std::string_view bytes) {
    wire(i).arrive(bytes);
    loop.turn();
  }
  observe::ClusterStats& stats() { return cluster->stats(0); }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  base::Random random{1};
  std::shared_ptr<fake::Connector> connector = std::make_shared<fake::Connector>();
  cluster::ClusterSlots slots;
  cluster::ClusterSlotPtr slot = slots.slot("c");
  cluster::ClusterPtr cluster;
  std::vector<cluster::HostPtr> hosts;
  std::vector<std::unique_ptr<Request>> requests;
  std::unique_ptr<WorkerUpstreams> upstreams;
  WorkerCluster* pools = nullptr;  // Of the cluster that stood in the slot at first.
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

inline void http2(cluster::ClusterConfig& config) { config.protocol = cluster::UpstreamProtocol::kHttp2; }

// What an HTTP/2 server says (RFC 9113, 4.1): length, type, flags, stream, payload.
inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string bytes(2, '\0');
  bytes += static_cast<char>(payload.size());
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(stream >> shift);
  return bytes + std::string(payload);
}
inline std::string settings() { return frame(4, 0, 0, {}); }
inline std::string settings_of_streams(uint8_t most) {
  return frame(4, 0, 0, std::string("\0\3\0\0\0", 5) + static_cast<char>(most));
}
// `:status: 200` and the end.
inline std::string ok(uint32_t stream) { return frame(1, 0x5, stream, "\x88"); }
inline std::string go_away(uint8_t last) {
  return frame(7, 0, 0, std::string("\0\0\0", 3) + static_cast<char>(last) + std::string(4, '\0'));
}

}  // namespace weft::pool
