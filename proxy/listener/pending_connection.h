#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/base/buffer.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/event/loop.h"
#include "proxy/event/timer.h"
#include "proxy/listener/acceptor.h"

// An accepted connection on its way to a handler: first the bytes that the listener's filters need (PROXY header, TLS
// ClientHello, HTTP's first line), then the choice of a filter chain, then the TLS handshake, each with its deadline.
// Where the listener goes on without those bytes when they do not come, a server that speaks first is not kept waiting:
// its connection is made meanwhile, and decides if it is the first to say something.
// Owned by its acceptor; frees itself at the end of the turn in which it was handed over or failed.

namespace weft::listener {

class PendingConnection final : public base::ListNode<PendingConnection>,
                                public event::Deferred,
                                private transport::ByteStream::Events {
 public:
  PendingConnection(Acceptor& acceptor, std::unique_ptr<transport::PlainStream> plain,
                    snapshot::ConnectionTicket ticket);
  ~PendingConnection() override;

  // Waits for the first bytes.
  void inspect();
  // Begins the TLS handshake of `chain`.
  void handshake(std::shared_ptr<const snapshot::FilterChain> chain);

 private:
  enum class Step { kProxyHeader, kFirstBytes, kHandshake, kDone };
  void on_connected() override;
  void on_readable() override;
  void on_writable() override {}
  void on_connect_failed() override;
  void on_timeout();

  // Goes as far as the bytes allow; false when more are needed.
  bool advance();
  bool read_proxy_header();
  bool detect_tls();
  bool detect_http();
  // Begins to connect to the upstream that would have the connection if its client said nothing.
  void on_head_start_over();
  void on_upstream_spoke();
  void choose();
  void finish(bool reset);

  Acceptor& acceptor_;
  Step step_ = Step::kProxyHeader;
  bool inspecting_ = false;
  std::unique_ptr<transport::PlainStream> plain_;
  std::unique_ptr<transport::ByteStream> tls_;
  snapshot::ConnectionTicket ticket_;
  std::shared_ptr<const snapshot::FilterChain> chain_;
  http::Cause cause_ = http::Cause::kDownstreamClosed;  // Why it ends without being handed over.
  base::Buffer early_;
  size_t need_bytes_ = 1;
  bool inspect_tls_ = false, inspect_http_ = false;
  bool tls_detected_ = false;
  std::vector<std::string> protocols_;
  event::Timer timer_;
  event::Timer head_start_;
  // Of the chain that takes a connection whose client says nothing.
  std::shared_ptr<const snapshot::FilterChain> silent_chain_;
  std::unique_ptr<snapshot::EarlyUpstream> upstream_;
};

}  // namespace weft::listener
