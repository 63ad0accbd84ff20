#pragma once

#include <string>
#include <string_view>

#include "proxy/call/grpc_stream.h"
#include "proxy/call/http_call.h"
#include "proxy/event/timer.h"
#include "proxy/filter/ext_authz/answer.h"
#include "proxy/filter/ext_authz/service.h"
#include "proxy/observe/request_record.h"
#include "proxy/pool/worker_context.h"

// One question to the authorization service, over HTTP or gRPC, and its answer. Destroying it ends the call. Owned by
// the filter of the request; on its worker's thread.

namespace weft::filter {

class Check final : private call::HttpCall::Events, private call::GrpcStream::Events {
 public:
  class Events {
   public:
    // Once, never from within the constructor.
    virtual void on_answer(Answer answer) = 0;

   protected:
    ~Events() = default;
  };

  // `record` is what the service's headers may tell of the request; what the answer brings is in the arena.
  Check(pool::WorkerContext& context, const AuthzService& service, const Question& question,
        const observe::RequestRecord& record, base::Arena& arena, Events& events);
  ~Check();
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;

 private:
  void ask_over_http(const Question& question, const observe::RequestRecord& record);
  void ask_over_grpc(const Question& question, const observe::RequestRecord& record);
  void tell(Answer answer);
  // What was read or found here, which does not say of whom.
  void tell_read(Answer answer);
  void tell_failed(std::string_view reason) { tell_read(Answer::failed(reason)); }
  void on_timeout();

  // call::HttpCall::Events
  void on_call_answer(const call::HttpAnswer& answer) override;
  void on_call_failed(std::string_view reason) override;
  // call::GrpcStream::Events
  void on_grpc_open() override { stream_->send_last(message_); }
  void on_grpc_message(std::string_view message) override;
  void on_grpc_end(const call::GrpcEnd& end) override;

  pool::WorkerContext& context_;
  const AuthzService& service_;
  base::Arena& arena_;
  Events& events_;
  event::Timer timer_;  // Of gRPC, and of what fails at once.
  call::HttpCall* call_ = nullptr;
  call::GrpcStream* stream_ = nullptr;
  std::string message_;  // The question, and then the answer.
  bool answered_ = false;
  std::string_view failed_at_once_;
};

}  // namespace weft::filter
