#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/base/buffer.h"
#include "proxy/base/random.h"
#include "proxy/http/cause.h"
#include "proxy/http/message.h"
#include "proxy/http/metadata.h"
#include "proxy/observe/request_record.h"
#include "proxy/observe/stats.h"
#include "proxy/route/route_table.h"
#include "proxy/transport/byte_stream.h"

// An HTTP filter: code that sees every request and response of a connection manager in the configured order, before the
// router. It answers Continue, Pause or Reply and nothing else. One Filter object per exchange, made in its arena by a
// FilterFactory, which is immutable and shared by all workers.

namespace weft::pool {
struct WorkerContext;
}

namespace weft::filter {

enum class Verdict : uint8_t {
  kContinue,
  kPause,  // Later: exactly one FilterStream::resume() (or reply()).
  kReply,  // The filter has called FilterStream::reply().
};

// What a filter can do with its exchange. Calls are for the worker's thread.
class FilterStream {
 public:
  virtual base::Arena& arena() = 0;
  virtual http::RequestHead& request_head() = 0;
  virtual const route::Route* route() = 0;  // nullptr: none matches.
  virtual const observe::RequestRecord& record() = 0;
  virtual base::Random& random() = 0;
  // Of the downstream connection.
  virtual const transport::ConnectionInfo& connection() = 0;
  // For other filters and logs to read.
  virtual http::Metadata& metadata() = 0;
  virtual uint32_t worker() = 0;
  // For filters that ask others.
  virtual pool::WorkerContext& context() = 0;
  // What has come of the request's body and waits for the filters, and whether the request has come whole.
  virtual const base::Buffer& held_body() = 0;
  virtual bool request_ended() = 0;
  // The filter, which pauses, wants to see that much of the body first: as much may wait, a client that asks whether
  // it shall send its body is told so, and Filter::on_held_body() is called.
  virtual void want_body(uint64_t bytes) = 0;
  // The certificate that the client showed, PEM; empty if it showed none.
  virtual std::string peer_certificate_pem() = 0;
  // Looks for the route again, by what the request says now.
  virtual void refresh_route() = 0;
  // Of the connection manager, on this worker.
  virtual observe::HttpStats& stats() = 0;
  // Goes on after kPause, from the filter that paused.
  virtual void resume() = 0;
  // Answers now; no later filter and no upstream sees the request. `head` and body as they shall be sent; response
  // filters that have already seen the request still see the answer. Nothing happens if the exchange was answered
  // meanwhile, as by a time-out.
  virtual void reply(const http::ResponseHead& head, std::string_view body, http::Cause cause,
                     std::string_view detail) = 0;

 protected:
  ~FilterStream() = default;
};

class Filter {
 public:
  virtual ~Filter() = default;
  virtual Verdict on_request_head(http::RequestHead& head, bool end) { return Verdict::kContinue; }
  // Of the filter that pauses: more of the body waits, or the request has ended.
  virtual void on_held_body() {}
  virtual Verdict on_request_body(base::Buffer& data, bool end) { return Verdict::kContinue; }
  virtual void on_response_head(http::ResponseHead& head, bool end) {}
  virtual void on_response_body(base::Buffer& data, bool end) {}
  virtual void on_response_trailers(http::HeaderMap& trailers) {}
  // The exchange is over; called once, last.
  virtual void on_done() {}
};

class FilterFactory {
 public:
  virtual ~FilterFactory() = default;
  virtual std::string_view name() const = 0;  // As configured.
  // In the stream's arena; the stream calls its destructor. nullptr: not needed for this request.
  virtual Filter* make(FilterStream& stream) const = 0;
};
using FilterFactoryPtr = std::shared_ptr<const FilterFactory>;

}  // namespace weft::filter
