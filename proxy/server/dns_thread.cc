#include "proxy/server/dns_thread.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/dns/upstream_sockets.h"
#include "proxy/transport/unguessable.h"

namespace weft::server {
namespace {

// At most so often is the file of the platform's servers looked at, when somebody asks.
constexpr int64_t kLookMs = 1'000;

// Whether a file is as it was.
struct FileState {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  int64_t changed_ns = 0;
  bool operator==(const FileState&) const = default;
};

FileState state_of(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino, file.st_size, file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec};
}

}  // namespace

struct DnsThread::State {
  State(DnsThread& thread, std::vector<dns::Listener::Sockets> sockets)
      : thread(thread),
        upstream(thread.loop_, transport::unguessable_number),
        responder(thread.loop_, upstream, thread.random_, thread.stats_.of_worker(0)),
        listener(thread.loop_, std::move(sockets),
                 [this](std::string_view message, dns::Protocol protocol, dns::Listener::Reply reply) {
                   look_at_platform();
                   responder.on_message(message, protocol, std::move(reply));
                 }) {}

  void look_at_platform() {
    int64_t now_ms = thread.loop_.now_ms();
    if (looked && now_ms - looked_ms < kLookMs) return;
    looked_ms = now_ms;
    FileState now = state_of(thread.options_.resolv_conf);
    if (std::exchange(looked, true) && now == file) return;
    file = now;
    std::ifstream in(thread.options_.resolv_conf, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    responder.set_platform(dns::parse_resolv_conf(text), thread.options_.addresses);
  }

  DnsThread& thread;
  dns::UpstreamSockets upstream;
  dns::Responder responder;
  dns::Listener listener;
  bool looked = false;
  int64_t looked_ms = 0;
  FileState file;
};

DnsThread::DnsThread(base::Clock& clock, uint64_t seed, Options options)
    : options_(std::move(options)), stats_("dns.", "", "", 1), loop_(clock), random_(seed) {}

DnsThread::~DnsThread() { stop(); }

absl::Status DnsThread::start() {
  std::vector<dns::Listener::Sockets> sockets;
  for (transport::Address& address : options_.addresses) {
    absl::StatusOr<dns::Listener::Sockets> bound = dns::Listener::bind(address);
    if (!bound.ok()) return absl::UnavailableError(absl::StrCat("DNS: ", std::string(bound.status().message())));
    address = transport::local_address(bound->tcp.get());
    sockets.push_back(*std::move(bound));
  }
  thread_ = std::thread([this, sockets = std::move(sockets)]() mutable { run(std::move(sockets)); });
  return absl::OkStatus();
}

void DnsThread::run(std::vector<dns::Listener::Sockets> sockets) {
  state_ = std::make_unique<State>(*this, std::move(sockets));
  loop_.run();
  loop_.run_until_quiet();
  state_.reset();
  loop_.run_until_quiet();
}

void DnsThread::change_names(std::vector<dns::NameChange> changes) {
  loop_.post([this, changes = std::move(changes)]() mutable { state_->responder.change_names(std::move(changes)); });
}

void DnsThread::set_names_known() {
  loop_.post([this] { state_->responder.set_known(); });
}

void DnsThread::stop() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace weft::server
