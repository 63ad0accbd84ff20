#include "proxy/server/worker_thread.h"

#include <map>
#include <utility>

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
    look_over_retired();
    thread.open_connections_.store(http.open_connections() + tcp.open_connections(), std::memory_order_relaxed);
    housekeeping.arm(kHousekeepingMs);
  }
  void stop() {
    stopped = true;
    for (auto& [name, acceptor] : acceptors) acceptor->stop();
  }
  // The listener that runs under this name accepts no more.
  void retire(const std::string& name, std::shared_ptr<snapshot::RetiredChains> chains) {
    std::unique_ptr<listener::Acceptor> acceptor;
    if (auto found = acceptors.find(name); found != acceptors.end()) {
      acceptor = std::move(found->second);
      acceptor->stop();
      acceptors.erase(found);
    }
    http.retire(chains);
    retired.push_back({std::move(chains), std::move(acceptor)});
  }
  void look_over_retired() {
    std::erase_if(retired, [this](Retired& each) {
      bool left = (each.acceptor != nullptr && each.acceptor->pending_connections() != 0) ||
                  http.has_connections(*each.chains) || tcp.has_connections(*each.chains);
      if (left) return false;
      http.forget(*each.chains);
      each.chains->worker_done();
      return true;
    });
  }
  void close(const snapshot::RetiredChains& chains) {
    for (Retired& each : retired) {
      if (each.chains.get() == &chains) each.acceptor.reset();
    }
    http.close(chains);
    tcp.close(chains);
    look_over_retired();
  }
  void flush_logs() {
    for (auto& log : thread.access_logs_) log->flush_worker(thread.index_);
  }

  WorkerThread& thread;
  std::unique_ptr<pool::WorkerUpstreams> upstreams;
  pool::WorkerContext context;
  stream::Worker http;
  tcp::Worker tcp;
  listener::Directory directory;
  std::map<std::string, std::unique_ptr<listener::Acceptor>> acceptors;
  // What has been replaced or removed and has connections left.
  struct Retired {
    std::shared_ptr<snapshot::RetiredChains> chains;
    std::unique_ptr<listener::Acceptor> acceptor;  // For those in protocol detection or handshake.
  };
  std::vector<Retired> retired;
  bool stopped = false;  // No listener accepts any more.
  event::Timer housekeeping;
};

WorkerThread::WorkerThread(uint32_t index, base::Clock& clock, uint64_t seed)
    : index_(index), loop_(clock), random_(seed) {}

WorkerThread::~WorkerThread() { join(); }

void WorkerThread::start(AccessLogs access_logs) {
  access_logs_ = std::move(access_logs);
  thread_ = std::thread([this] { run(); });
}

void WorkerThread::set_access_logs(AccessLogs access_logs) {
  loop_.post([this, logs = std::move(access_logs)] { access_logs_ = logs; });
}

void WorkerThread::listen(std::shared_ptr<const listener::SharedListener> shared,
                          std::vector<listener::ListenSocket> sockets,
                          std::shared_ptr<snapshot::RetiredChains> retired) {
  loop_.post([this, shared = std::move(shared), sockets = std::move(sockets), retired = std::move(retired)] {
    const std::string& name = shared->listener->name;
    if (retired != nullptr) state_->retire(name, retired);
    if (state_->stopped) return;
    state_->acceptors[name] = std::make_unique<listener::Acceptor>(
        loop_, index_, shared, sockets, listener::Acceptor::Handlers{state_->http, state_->tcp}, &state_->directory);
  });
}

void WorkerThread::stop_listener(std::string name, std::shared_ptr<snapshot::RetiredChains> retired) {
  loop_.post([this, name = std::move(name), retired = std::move(retired)] { state_->retire(name, retired); });
}

void WorkerThread::close_retired(std::shared_ptr<snapshot::RetiredChains> retired) {
  loop_.post([this, retired = std::move(retired)] { state_->close(*retired); });
}

void WorkerThread::run() {
  state_ = std::make_unique<State>(*this);
  state_->keep_house();
  loop_.run();
  // One after another: those who use come before those they use.
  state_->acceptors.clear();
  state_->retired.clear();
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
  loop_.post([this] { state_->stop(); });
}

void WorkerThread::drain() {
  loop_.post([this] {
    state_->stop();
    state_->http.drain();
    state_->keep_house();
  });
}

void WorkerThread::stop() { loop_.stop(); }

void WorkerThread::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace weft::server
