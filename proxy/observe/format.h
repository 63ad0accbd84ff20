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
    kConnectionTerminationDetails,
    kDynamicMetadata,
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
  // A header, or one of the parts of a request or response that are written like one.
  struct Field {
    enum class Kind : uint8_t { kHeader, kPath, kMethod, kAuthority, kScheme, kStatus, kOriginalPath, kUnknown };
    Kind kind = Kind::kHeader;
    http::HeaderId id = http::HeaderId::kOther;
    std::string name;  // Lower case; empty: none.
  };
  struct Piece {
    Op op = Op::kText;
    std::string text;  // Literal text, or strftime format.
    Field field;
    Field alternative;              // The second header of %REQ(A?B)%.
    std::vector<std::string> keys;  // Of %DYNAMIC_METADATA(text:KEY:KEY)%.
    size_t longest = 0;             // 0: no bound.
  };
  struct OpName {
    std::string_view name;
    Op op;
  };
  static const std::vector<OpName>& names();
  static bool numeric(Op op);
  static absl::StatusOr<Piece> compile_operator(std::string_view text, size_t at);
  static Field compile_field(std::string_view name, bool of_request);
  static bool append_header(const http::HeaderMap* headers, const Field& field, std::string& out);
  static bool append_request_field(const RequestRecord& record, const Field& field, std::string& out);
  static bool append_metadata(const Piece& piece, const RequestRecord& record, std::string& out);
  static bool value(const Piece& piece, const RequestRecord& record, std::string& out);

  std::vector<Piece> pieces_;
};

// Envoy's default line for HTTP.
extern const std::string_view kDefaultHttpFormat;

// The flags of Envoy's %RESPONSE_FLAGS%: "-" or some of them with commas.
void append_response_flags(const RequestRecord& record, std::string& out);
void append_response_flags(http::Cause cause, bool retry_limit_exceeded, std::string& out);

}  // namespace weft::observe
