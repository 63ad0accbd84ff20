#include "proxy/transport/rotating_tls.h"

namespace weft::transport {
namespace {

class RotatingServerTls final : public ServerTls {
 public:
  RotatingServerTls(std::vector<SecretName> names, Rotation<ServerTlsPtr>::Make make, ServerTlsPtr first)
      : rotation_(std::move(names), std::move(make), std::move(first)) {}
  std::unique_ptr<ByteStream> accept(std::unique_ptr<ByteStream> plain, base::Buffer early) const override {
    return rotation_.current()->accept(std::move(plain), std::move(early));
  }
  bool ready() const override { return rotation_.has_context(); }
  std::vector<CertificateInfo> certificates() const override {
    ServerTlsPtr current = rotation_.current();
    return current == nullptr ? std::vector<CertificateInfo>() : current->certificates();
  }
  SecretUse* secret_use() const override { return &rotation_; }

 private:
  mutable Rotation<ServerTlsPtr> rotation_;
};

// A connection that is not even begun; that it failed is told in a later turn, as of every other.
class NoSecretStream final : public ByteStream, private event::NextTurnTask {
 public:
  explicit NoSecretStream(event::Loop& loop) : loop_(loop) {}
  ~NoSecretStream() override { event::NextTurnTask::unlink(); }
  void attach(Events& events) override {
    events_ = &events;
    loop_.at_next_turn(*this);
  }
  bool connected() const override { return false; }
  IoResult read(base::Buffer&, size_t) override { return {IoResult::State::kError, 0, true}; }
  IoResult write(base::Buffer&) override { return {IoResult::State::kError, 0, true}; }
  size_t unsent_bytes() const override { return 0; }
  void shutdown_write() override {}
  void close(CloseKind) override { event::NextTurnTask::unlink(); }
  const ConnectionInfo& info() const override { return info_; }
  std::string_view alpn() const override { return {}; }
  ErrorKind error_kind() const override { return ErrorKind::kNoSecret; }
  std::string_view error() const override { return "TLS: the secrets of this cluster have not come yet"; }

 private:
  void on_next_turn() override { events_->on_connect_failed(); }

  event::Loop& loop_;
  Events* events_ = nullptr;
  ConnectionInfo info_;
};

class RotatingConnector final : public Connector {
 public:
  RotatingConnector(std::vector<SecretName> names, Rotation<ConnectorPtr>::Make make, ConnectorPtr first)
      : rotation_(std::move(names), std::move(make), std::move(first)) {}
  std::unique_ptr<ByteStream> connect(event::Loop& loop, const Address& to) override {
    ConnectorPtr current = rotation_.current();
    if (current == nullptr) return std::make_unique<NoSecretStream>(loop);
    return current->connect(loop, to);
  }
  std::unique_ptr<ByteStream> connect_to(event::Loop& loop, const Address& to, const ServerName& server) override {
    ConnectorPtr current = rotation_.current();
    if (current == nullptr) return std::make_unique<NoSecretStream>(loop);
    return current->connect_to(loop, to, server);
  }
  std::unique_ptr<ByteStream> connect_stream(event::Loop& loop, const Address& to) override {
    ConnectorPtr current = rotation_.current();
    if (current == nullptr) return std::make_unique<NoSecretStream>(loop);
    return current->connect_stream(loop, to);
  }
  std::vector<CertificateInfo> certificates() const override {
    ConnectorPtr current = rotation_.current();
    return current == nullptr ? std::vector<CertificateInfo>() : current->certificates();
  }
  SecretUse* secret_use() override { return &rotation_; }

 private:
  Rotation<ConnectorPtr> rotation_;
};

}  // namespace

std::shared_ptr<const ServerTls> make_rotating_server_tls(std::vector<SecretName> names,
                                                          Rotation<ServerTlsPtr>::Make make, ServerTlsPtr first) {
  return std::make_shared<RotatingServerTls>(std::move(names), std::move(make), std::move(first));
}

std::shared_ptr<Connector> make_rotating_connector(std::vector<SecretName> names, Rotation<ConnectorPtr>::Make make,
                                                   ConnectorPtr first) {
  return std::make_shared<RotatingConnector>(std::move(names), std::move(make), std::move(first));
}

}  // namespace weft::transport
