#include "proxy/transport/passing_identity.h"

#include <utility>

namespace weft::transport {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

class PassingIdentity final : public Connector {
 public:
  PassingIdentity(std::shared_ptr<Connector> with, std::shared_ptr<Connector> without,
                  std::shared_ptr<const std::atomic<bool>> withheld)
      : with_(std::move(with)), without_(std::move(without)), withheld_(std::move(withheld)) {
    for (const CertificateInfo& each : with_->certificates()) {
      if (!each.is_ca) not_after_s_ = each.not_after_s;
    }
  }
  std::unique_ptr<ByteStream> connect(event::Loop& loop, const Address& to) override {
    return now(loop).connect(loop, to);
  }
  std::unique_ptr<ByteStream> connect_to(event::Loop& loop, const Address& to, const ServerName& server) override {
    return now(loop).connect_to(loop, to, server);
  }
  std::vector<CertificateInfo> certificates() const override { return with_->certificates(); }

 private:
  Connector& now(const event::Loop& loop) const {
    bool shown = !withheld_->load(std::memory_order_relaxed) && loop.wall_ns() < not_after_s_ * kNanosPerSecond;
    return shown ? *with_ : *without_;
  }

  const std::shared_ptr<Connector> with_;
  const std::shared_ptr<Connector> without_;
  const std::shared_ptr<const std::atomic<bool>> withheld_;
  int64_t not_after_s_ = 0;
};

}  // namespace

std::shared_ptr<Connector> make_passing_identity(std::shared_ptr<Connector> with, std::shared_ptr<Connector> without,
                                                 std::shared_ptr<const std::atomic<bool>> withheld) {
  return std::make_shared<PassingIdentity>(std::move(with), std::move(without), std::move(withheld));
}

}  // namespace weft::transport
