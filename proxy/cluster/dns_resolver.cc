#include "proxy/cluster/dns_resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace weft::cluster {
namespace {

constexpr int kQueryTimeoutMs = 2'000;
constexpr int kQueryTries = 2;

transport::Address address_of(const struct sockaddr* from) {
  transport::Address address;
  if (from->sa_family == AF_INET) {
    address.family = transport::Address::Family::kIpv4;
    memcpy(address.ip, &reinterpret_cast<const sockaddr_in*>(from)->sin_addr, 4);
  } else {
    address.family = transport::Address::Family::kIpv6;
    memcpy(address.ip, &reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr, 16);
  }
  return address;
}

class AresResolver final : public DnsResolver {
 public:
  explicit AresResolver(event::LibeventLoop& loop)
      : loop_(loop), timer_(loop.timers(), base::bind<&AresResolver::on_timer>(this)) {}
  ~AresResolver() override {
    closing_ = true;
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  absl::Status init(const std::vector<transport::Address>& servers) {
    static int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return absl::InternalError("c-ares cannot be initialised");
    struct ares_options options = {};
    options.sock_state_cb = on_socket_state;
    options.sock_state_cb_data = this;
    options.timeout = kQueryTimeoutMs;
    options.tries = kQueryTries;
    int result = ares_init_options(&channel_, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (result != ARES_SUCCESS) return absl::InternalError(absl::StrCat("DNS resolver: ", ares_strerror(result)));
    if (servers.empty()) return absl::OkStatus();
    std::string list;
    for (const auto& server : servers) absl::StrAppend(&list, list.empty() ? "" : ",", server.to_string());
    result = ares_set_servers_ports_csv(channel_, list.c_str());
    if (result != ARES_SUCCESS) {
      return absl::InvalidArgumentError(absl::StrCat("DNS servers ", list, ": ", ares_strerror(result)));
    }
    return absl::OkStatus();
  }

  void resolve(const std::string& name, DnsFamily family,
               std::function<void(absl::StatusOr<DnsAnswer>)> done) override {
    auto* query = new Query{this, name, family, std::move(done)};
    switch (family) {
      case DnsFamily::kV4Only:
      case DnsFamily::kV4Preferred:
        return ask(query, AF_INET);
      case DnsFamily::kV6Only:
      case DnsFamily::kAuto:
        return ask(query, AF_INET6);
      case DnsFamily::kAll:
        return ask(query, AF_UNSPEC);
    }
  }

 private:
  struct Query {
    AresResolver* resolver;
    std::string name;
    DnsFamily family;
    std::function<void(absl::StatusOr<DnsAnswer>)> done;
    bool second_family = false;
    int first_failure = ARES_SUCCESS;  // Why the first family could not be asked for.
  };
  struct Socket final : event::IoEvents {
    void on_io(bool readable, bool writable) override {
      resolver->process(readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    }
    AresResolver* resolver = nullptr;
    ares_socket_t fd = ARES_SOCKET_BAD;
    event::IoWatch watch;
  };

  void ask(Query* query, int family) {
    struct ares_addrinfo_hints hints = {};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, query->name.c_str(), nullptr, &hints, on_answer, query);
    arm();
  }

  static void on_answer(void* context, int status, int, struct ares_addrinfo* result) {
    std::unique_ptr<Query> query(static_cast<Query*>(context));
    DnsAnswer answer;
    for (auto* node = result == nullptr ? nullptr : result->nodes; node != nullptr; node = node->ai_next) {
      answer.addresses.push_back(address_of(node->ai_addr));
      if (node->ai_ttl > 0 && (answer.ttl_s == 0 || node->ai_ttl < answer.ttl_s)) answer.ttl_s = node->ai_ttl;
    }
    if (result != nullptr) ares_freeaddrinfo(result);
    AresResolver& self = *query->resolver;
    if (self.closing_) return;
    auto is_answer = [](int code) { return code == ARES_SUCCESS || code == ARES_ENODATA || code == ARES_ENOTFOUND; };
    bool has_other_family = query->family == DnsFamily::kAuto || query->family == DnsFamily::kV4Preferred;
    if (answer.addresses.empty() && has_other_family && !query->second_family) {
      query->second_family = true;
      if (!is_answer(status)) query->first_failure = status;
      int other = query->family == DnsFamily::kAuto ? AF_INET : AF_INET6;
      return self.ask(query.release(), other);
    }
    // That it has none of the one family does not say that it has none.
    if (answer.addresses.empty() && query->first_failure != ARES_SUCCESS) status = query->first_failure;
    if (is_answer(status)) return query->done(std::move(answer));
    query->done(absl::UnavailableError(absl::StrCat(query->name, ": ", ares_strerror(status))));
  }

  static void on_socket_state(void* context, ares_socket_t fd, int readable, int writable) {
    auto& self = *static_cast<AresResolver*>(context);
    std::unique_ptr<Socket>& socket = self.sockets_[fd];
    if (socket != nullptr) socket->watch.stop();
    if (readable == 0 && writable == 0) {
      // c-ares may say so from within process(); the object goes once nobody is inside it.
      if (socket != nullptr) self.old_sockets_.push_back(std::move(socket));
      self.sockets_.erase(fd);
      return;
    }
    if (socket == nullptr) {
      socket = std::make_unique<Socket>();
      socket->resolver = &self;
      socket->fd = fd;
    }
    socket->watch.start_level(self.loop_, fd, *socket, readable != 0, writable != 0);
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    arm();
  }
  void on_timer() {
    old_sockets_.clear();
    process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
  void arm() {
    struct timeval longest = {kQueryTimeoutMs / 1000, 0}, buffer;
    struct timeval* wait = ares_timeout(channel_, &longest, &buffer);
    if (sockets_.empty()) return timer_.disarm();
    timer_.arm(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
  }

  event::LibeventLoop& loop_;
  ares_channel channel_ = nullptr;
  event::Timer timer_;
  absl::flat_hash_map<ares_socket_t, std::unique_ptr<Socket>> sockets_;
  std::vector<std::unique_ptr<Socket>> old_sockets_;
  bool closing_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DnsResolver>> DnsResolver::make(event::LibeventLoop& loop,
                                                               const std::vector<transport::Address>& servers) {
  auto resolver = std::make_unique<AresResolver>(loop);
  absl::Status status = resolver->init(servers);
  if (!status.ok()) return status;
  return resolver;
}

}  // namespace weft::cluster
