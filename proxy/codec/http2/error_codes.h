#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/codec/codec.h"

// HTTP/2's error codes (RFC 9113, 7) and our reasons for a reset. Pure.

namespace weft::codec::http2 {

inline ResetReason reason_of(uint32_t error) {
  switch (error) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_CANCEL:
      return ResetReason::kCancel;
    case NGHTTP2_REFUSED_STREAM:
      return ResetReason::kRefused;
    case NGHTTP2_PROTOCOL_ERROR:
      return ResetReason::kProtocolError;
    case NGHTTP2_FLOW_CONTROL_ERROR:
      return ResetReason::kFlowControl;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return ResetReason::kEnhanceYourCalm;
    case NGHTTP2_HTTP_1_1_REQUIRED:
      return ResetReason::kHttp11Required;
    default:
      return ResetReason::kInternalError;
  }
}

inline uint32_t error_of(ResetReason reason) {
  switch (reason) {
    case ResetReason::kNone:
      return NGHTTP2_NO_ERROR;
    case ResetReason::kRefused:
      return NGHTTP2_REFUSED_STREAM;
    case ResetReason::kProtocolError:
      return NGHTTP2_PROTOCOL_ERROR;
    case ResetReason::kFlowControl:
      return NGHTTP2_FLOW_CONTROL_ERROR;
    case ResetReason::kEnhanceYourCalm:
    case ResetReason::kMessageTooLarge:
      return NGHTTP2_ENHANCE_YOUR_CALM;
    case ResetReason::kHttp11Required:
      return NGHTTP2_HTTP_1_1_REQUIRED;
    case ResetReason::kConnectError:
      return NGHTTP2_CONNECT_ERROR;
    case ResetReason::kInternalError:
      return NGHTTP2_INTERNAL_ERROR;
    default:
      return NGHTTP2_CANCEL;
  }
}

}  // namespace weft::codec::http2
