#pragma once

// What a tag of the completion queue is: whom to tell that an operation of gRPC is over. The thread that polls the
// queue calls it, once for each operation begun with it. Owned by whoever began the operation.

namespace weft::control::xds {

class Completion {
 public:
  // `ok` is gRPC's word for whether there is what was waited for: a call, a message, one that was written.
  virtual void done(bool ok) = 0;

 protected:
  ~Completion() = default;
};

// Calls a member of its owner.
template <typename Owner>
class Step final : public Completion {
 public:
  using Done = void (Owner::*)(bool ok);

  Step(Owner& owner, Done on_done) : owner_(owner), on_done_(on_done) {}
  void done(bool ok) override { (owner_.*on_done_)(ok); }

 private:
  Owner& owner_;
  const Done on_done_;
};

}  // namespace weft::control::xds
