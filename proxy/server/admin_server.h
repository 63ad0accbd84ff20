#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/codec/codec.h"
#include "proxy/event/loop.h"
#include "proxy/observe/access_log.h"
#include "proxy/transport/plain_stream.h"

// The admin listener: a small HTTP/1 server on the main thread's loop. It never shares a thread with traffic, so a page
// that is slow to make slows no request. What the pages say is in admin_pages.h.

namespace weft::server {

struct AdminRequest {
  std::string method;
  std::string path;  // Without the query.
  std::vector<std::pair<std::string, std::string>> query;

  const std::string* parameter(std::string_view name) const;
};

struct AdminAnswer {
  uint16_t status = 200;
  std::string content_type = "text/plain; charset=UTF-8";
  std::string body;
};

// Gives one request its answer, at once or later; to be called once. Who asked may have gone by then.
using AdminReply = std::function<void(const AdminAnswer&)>;

class AdminConnection;

class AdminServer {
 public:
  using Handler = std::function<void(const AdminRequest&, AdminReply)>;
  AdminServer(event::LibeventLoop& loop, Handler handler, std::vector<std::shared_ptr<observe::AccessLog>> access_logs);
  ~AdminServer();

  // Listens; the address as bound. `ipv4_compat`: an IPv6 address stands for those of IPv4, too. Errors name the
  // address.
  absl::StatusOr<transport::Address> start(const transport::Address& address, bool ipv4_compat = false);
  void stop();

 private:
  friend class AdminConnection;
  struct Accept final : event::IoEvents {
    explicit Accept(AdminServer& server) : server(server) {}
    void on_io(bool, bool) override { server.accept_some(); }
    AdminServer& server;
  };
  void accept_some();

  event::LibeventLoop& loop_;
  Handler handler_;
  std::vector<std::shared_ptr<observe::AccessLog>> access_logs_;
  codec::Limits limits_;
  Accept accept_{*this};
  transport::Descriptor socket_;
  transport::Address address_;
  event::IoWatch watch_;
  base::IntrusiveList<AdminConnection, AdminConnection> connections_;
  size_t open_ = 0;
};

}  // namespace weft::server
