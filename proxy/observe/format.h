#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/observe/request_record.h"

// Envoy's command operators ("%REQ(:path)% %RESPONSE_CODE%"), compiled once and rendered per record. Immutable; any
// thread.

namespace weft::observe {

class Format {
 public:
  // Errors name the operator and its place in the text.
  static absl::StatusOr<Format> compile(std::string_view text);

  // Appends the rendered text. A value that is absent is "-", or nothing where `omit_empty`.
  void render(const RequestRecord& record, bool omit_empty, std::string& out) const;
  // The rendered text as a header's value, in `arena`; what is absent is nothing.
  std::string_view render(const RequestRecord& record, base::Arena& arena) const;
  // One operator and nothing else, of a numeric kind: JSON writes it as a number.
  bool is_number() const;
  // As render(), of a format that is one operator: false if the value is absent.
  bool render_value(const RequestRecord& record, std::string& out) const;
  bool is_single() const { return pieces_.size() == 1 && pieces_[0].op != Op::kText; }

 private:
  enum class Op : uint8_t {
    kText,
    kRequestHeader,
    kRequestHeaderWithoutQuery,
    kResponseHeader,
    kResponseTrailer,
    kStartTime,
    kProtocol,
    kResponseCode,
    kResponseFlags,
    kResponseCodeDetails,
    kCause,
    kCauseDetail,
    kCauseParty,
    kCausePhase,
    kBytesReceived,
    kBytesSent,
    kRequestHeadBytes,
    kResponseHeadBytes,
    kUpstreamBytesSent,
    kUpstreamBytesReceived,
    kDuration,
    kRequestDuration,
    kRequestTxDuration,
    kResponseDuration,
    kResponseTxDuration,
    kUpstreamHost,
    kUpstreamCluster,
    kUpstreamLocalAddress,
    kUpstreamProtocol,
    kUpstreamFailureReason,
    kUpstreamAttempts,
    kUpstreamConnectionId,
    kRouteName,
    kVirtualHostName,
    kFilterChainName,
    kConnectionId,
    kRequestedServerName,
    kDownstreamRemoteAddress,
    kDownstreamRemoteIp,
    kDownstreamRemotePort,
    kDownstreamDirectRemoteAddress,
    kDownstreamDirectRemoteIp,
    kDownstreamDirectRemotePort,
    kDownstreamLocalAddress,
    kDownstreamLocalIp,
    kDownstreamLocalPort,
    kDownstreamTlsVersion,
    kDownstreamTlsCipher,
    kDownstreamPeerUriSan,
    kDownstreamPeerDnsSan,
    kDownstreamPeerSubject,
    kDownstreamPeerIssuer,
    kDownstreamPeerSerial,
    kDownstreamPeerFingerprint,
    kDownstreamLocalUriSan,
  };
  struct Piece {
    Op op = Op::kText;
    std::string text;         // Literal text, header name, or strftime format.
    std::string alternative;  // The second header of %REQ(A?B)%.
    size_t longest = 0;       // 0: no bound.
  };
  struct OpName {
    std::string_view name;
    Op op;
  };
  static const std::vector<OpName>& names();
  static bool numeric(Op op);
  static absl::StatusOr<Piece> compile_operator(std::string_view text, size_t at);
  static bool value(const Piece& piece, const RequestRecord& record, std::string& out);

  std::vector<Piece> pieces_;
};

// Envoy's default line for HTTP.
extern const std::string_view kDefaultHttpFormat;

// The flags of Envoy's %RESPONSE_FLAGS%: "-" or some of them with commas.
void append_response_flags(const RequestRecord& record, std::string& out);

}  // namespace weft::observe
