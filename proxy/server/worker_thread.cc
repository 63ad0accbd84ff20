#include "proxy/server/worker_thread.h"

namespace weft::server {
namespace {

// How old a line of an access log may get before it goes to the writer, and the count of connections before it is told.
constexpr int64_t kHousekeepingMs = 100;

}  // namespace

struct WorkerThread::State {
  explicit State(WorkerThread& thread)
      : thread(thread),
        upstreams(pool::make_worker_upstreams(thread.loop_, thread.random_, thread.index_)),
        context{thread.loop_, thread.random_, *upstreams, thread.index_},
        http(context),
        tcp(context),
        housekeeping(thread.loop_.timers(), base::bind<&State::keep_house>(this)) {}

  void keep_house() {
    flush_logs();
    thread.open_connections_.store(http.open_connections() + tcp.open_connections(), std::memory_order_relaxed);
    housekeeping.arm(kHousekeepingMs);
  }
  void flush_logs() {
    for (auto& log : thread.access_logs_) log->flush_worker(thread.index_);
  }

  WorkerThread& thread;
  std::unique_ptr<pool::WorkerUpstreams> upstreams;
  pool::WorkerContext context;
  stream::Worker http;
  tcp::Worker tcp;
  std::vector<std::unique_ptr<listener::Acceptor>> acceptors;
  event::Timer housekeeping;
};

WorkerThread::WorkerThread(uint32_t index, base::Clock& clock, uint64_t seed)
    : index_(index), loop_(clock), random_(seed) {}

WorkerThread::~WorkerThread() { join(); }

void WorkerThread::start(std::vector<ListenerStart> listeners,
                         std::vector<std::shared_ptr<observe::AccessLog>> access_logs) {
  access_logs_ = std::move(access_logs);
  auto shared = std::make_shared<std::vector<ListenerStart>>(std::move(listeners));
  loop_.post([this, shared] { listen(*shared); });
  thread_ = std::thread([this] { run(); });
}

void WorkerThread::listen(std::vector<ListenerStart>& listeners) {
  for (ListenerStart& each : listeners) {
    state_->acceptors.push_back(
        std::make_unique<listener::Acceptor>(loop_, index_, std::move(each.shared), std::move(each.sockets),
                                             listener::Acceptor::Handlers{state_->http, state_->tcp}));
  }
}

void WorkerThread::run() {
  state_ = std::make_unique<State>(*this);
  state_->keep_house();
  loop_.run();
  // One after another: those who use come before those they use.
  state_->acceptors.clear();
  state_->http.close_all();
  state_->tcp.close_all();
  state_->upstreams->drain();
  loop_.run_until_quiet();
  state_->flush_logs();
  state_.reset();
}

void WorkerThread::assign(cluster::ClusterSlotPtr slot, cluster::ClusterPtr cluster) {
  loop_.post(
      [this, slot = std::move(slot), cluster = std::move(cluster)] { state_->upstreams->assign(*slot, cluster); });
}

void WorkerThread::drop_lost_hosts(cluster::ClusterSlotPtr slot) {
  loop_.post([this, slot = std::move(slot)] { state_->upstreams->drop_lost_hosts(*slot); });
}

void WorkerThread::assign_routes(route::RouteSlotPtr slot, std::shared_ptr<const route::RouteTable> table) {
  loop_.post([this, slot = std::move(slot), table = std::move(table)] { state_->http.assign_routes(*slot, table); });
}

void WorkerThread::stop_listeners() {
  loop_.post([this] {
    for (auto& acceptor : state_->acceptors) acceptor->stop();
  });
}

void WorkerThread::drain() {
  loop_.post([this] {
    for (auto& acceptor : state_->acceptors) acceptor->stop();
    state_->http.drain();
    state_->keep_house();
  });
}

void WorkerThread::stop() { loop_.stop(); }

void WorkerThread::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace weft::server
