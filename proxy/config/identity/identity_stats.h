#pragma once

#include "proxy/observe/stats.h"

// What the proxy counts of its own certificate.

namespace weft::observe {

// Prefix "identity." `alarm` is 1 from when less than a third of the certificate's life is left and it could not be
// renewed, until it is.
#define WEFT_IDENTITY_METRICS(X)  \
  X(Gauge, seconds_until_expiry)  \
  X(Gauge, alarm)                 \
  X(Counter, certificates_issued) \
  X(Counter, renewal_failures)
WEFT_STATS(IdentityStats, WEFT_IDENTITY_METRICS)

}  // namespace weft::observe
