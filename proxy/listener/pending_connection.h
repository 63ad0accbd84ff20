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
  bool tls_detected_ = false;
  std::vector<std::string> protocols_;
  event::Timer timer_;
};

}  // namespace weft::listener
