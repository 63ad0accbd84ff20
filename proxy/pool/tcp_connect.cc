#include "proxy/pool/tcp_connect.h"

#include "proxy/pool/cluster_pools.h"

namespace weft::pool {
namespace {

using http::Cause;

// A connection handed out: tells breakers, metrics and host when it ends.
class CountedStream final : public transport::ByteStream {
 public:
  CountedStream(std::unique_ptr<transport::ByteStream> stream, cluster::ClusterPtr cluster,
                observe::ClusterStats& stats, cluster::HostPtr host)
      : stream_(std::move(stream)), cluster_(std::move(cluster)), stats_(stats), host_(std::move(host)) {}
  ~CountedStream() override {
    stats_.upstream_cx_active.subtract();
    stats_.upstream_cx_destroy.add();
    stats_.upstream_cx_rx_bytes_total.add(stream_->received_bytes());
    stats_.upstream_cx_tx_bytes_total.add(stream_->sent_bytes());
    host_->active_connections.fetch_sub(1, std::memory_order_relaxed);
    cluster_->breakers(cluster::Priority::kDefault).connection_done();
  }
  void attach(Events& events) override { stream_->attach(events); }
  bool connected() const override { return stream_->connected(); }
  transport::IoResult read(base::Buffer& into, size_t max_bytes) override {
    transport::IoResult result = stream_->read(into, max_bytes);
    received_bytes_ = stream_->received_bytes();
    return result;
  }
  transport::IoResult write(base::Buffer& from) override {
    transport::IoResult result = stream_->write(from);
    sent_bytes_ = stream_->sent_bytes();
    return result;
  }
  size_t unsent_bytes() const override { return stream_->unsent_bytes(); }
  void read_later() override { stream_->read_later(); }
  void shutdown_write() override { stream_->shutdown_write(); }
  void close(CloseKind kind) override { stream_->close(kind); }
  const transport::ConnectionInfo& info() const override { return stream_->info(); }
  std::string_view alpn() const override { return stream_->alpn(); }
  ErrorKind error_kind() const override { return stream_->error_kind(); }
  std::string_view error() const override { return stream_->error(); }
  TlsFailure tls_failure() const override { return stream_->tls_failure(); }

 private:
  std::unique_ptr<transport::ByteStream> stream_;
  cluster::ClusterPtr cluster_;
  observe::ClusterStats& stats_;
  cluster::HostPtr host_;
};

}  // namespace

TcpConnect::TcpConnect(ClusterPools& owner, cluster::HostPtr host)
    : owner_(owner),
      cluster_(owner.cluster().shared_from_this()),
      host_(std::move(host)),
      timer_(owner.owner().loop().timers(), base::bind<&TcpConnect::on_timeout>(this)) {
  owner_.hold();
}

TcpConnect::~TcpConnect() = default;

void TcpConnect::start(ClusterPools& owner, const cluster::HostPtr& host, TcpWaiter& waiter,
                       base::IntrusiveList<TcpConnect, TcpConnect>& list) {
  auto& stats = owner.stats();
  if (!owner.cluster().breakers(cluster::Priority::kDefault).try_connection()) {
    stats.upstream_cx_overflow.add();
    return waiter.on_tcp_failed(Cause::kOverflowConnections, {});
  }
  stats.upstream_cx_total.add();
  stats.upstream_cx_active.add();
  host->active_connections.fetch_add(1, std::memory_order_relaxed);
  host->total_connections.fetch_add(1, std::memory_order_relaxed);
  auto* connect = new TcpConnect(owner, host);
  list.push_back(*connect);
  connect->waiter_.push_back(waiter);
  connect->timer_.arm(owner.cluster().config().connect_timeout_ms);
  connect->stream_ = owner.cluster().connector_of(*host).connect_stream(owner.owner().loop(), host->address());
  connect->stream_->attach(*connect);
}

TcpWaiter* TcpConnect::take_waiter() { return waiter_.empty() ? nullptr : &waiter_.pop_front(); }

void TcpConnect::on_connected() {
  if (over_) return;
  auto counted = std::make_unique<CountedStream>(std::move(stream_), cluster_, owner_.stats(), host_);
  cluster::HostPtr host = host_;
  TcpWaiter* waiter = take_waiter();
  over_ = true;
  finish();
  if (waiter == nullptr) {
    counted->close(transport::ByteStream::CloseKind::kGraceful);
    return;
  }
  waiter->on_tcp_ready(std::move(counted), *host);
}

void TcpConnect::on_connect_failed() {
  using Kind = transport::ByteStream::ErrorKind;
  Kind kind = stream_->error_kind();
  Cause cause = kind == Kind::kRefused                          ? Cause::kConnectRefused
                : kind == Kind::kTls || kind == Kind::kNoSecret ? Cause::kUpstreamTlsFailed
                                                                : Cause::kConnectFailed;
  if (kind == Kind::kNoSecret) owner_.stats().client_ssl_socket_factory_upstream_context_secrets_not_ready.add();
  give_up(cause, stream_->error());
}

void TcpConnect::on_timeout() {
  owner_.stats().upstream_cx_connect_timeout.add();
  give_up(Cause::kConnectTimeout, "connection timeout");
}

void TcpConnect::give_up(Cause cause, std::string_view detail) {
  if (over_) return;
  over_ = true;
  auto& stats = owner_.stats();
  stats.upstream_cx_connect_fail.add();
  stats.upstream_cx_active.subtract();
  host_->active_connections.fetch_sub(1, std::memory_order_relaxed);
  owner_.cluster().breakers(cluster::Priority::kDefault).connection_done();
  std::string text(detail);
  TcpWaiter* waiter = take_waiter();
  stream_->close(transport::ByteStream::CloseKind::kReset);
  finish();
  if (waiter != nullptr) waiter->on_tcp_failed(cause, text);
}

void TcpConnect::finish() {
  timer_.disarm();
  base::ListNode<TcpConnect>::unlink();
  owner_.release();
  owner_.owner().loop().destroy_later(std::unique_ptr<event::Deferred>(this));
}

}  // namespace weft::pool
