#pragma once

#include <cstdint>
#include <memory>

#include "proxy/base/intrusive_list.h"
#include "proxy/filter/jwt_authn/keys.h"
#include "proxy/pool/worker_context.h"

// Where an issuer's keys are from: the configuration, or a server that is asked for them.

namespace weft::filter {

// One who waits for keys. Destroying it, or leaving the list, ends the wait.
class KeyWaiter : public base::ListNode<KeyWaiter> {
 public:
  // Never from within wait().
  virtual void on_keys(bool fetched) = 0;

 protected:
  ~KeyWaiter() = default;
};

// Shared by all workers; what a worker fetches is its own, and all calls for it are made on its thread.
class KeySource {
 public:
  virtual ~KeySource() = default;
  // nullptr: they must be waited for.
  virtual KeySetPtr at_hand(uint32_t worker, int64_t now_ms) = 0;
  virtual void wait(pool::WorkerContext& context, KeyWaiter& waiter) = 0;
  // The waiter was taken from the list: what nobody waits for any more is not fetched.
  virtual void left(uint32_t worker) = 0;
};
using KeySourcePtr = std::shared_ptr<KeySource>;

class FixedKeys final : public KeySource {
 public:
  explicit FixedKeys(KeySetPtr keys) : keys_(std::move(keys)) {}
  KeySetPtr at_hand(uint32_t, int64_t) override { return keys_; }
  void wait(pool::WorkerContext&, KeyWaiter&) override {}
  void left(uint32_t) override {}

 private:
  KeySetPtr keys_;
};

}  // namespace weft::filter
