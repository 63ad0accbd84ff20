#pragma once

#include "proxy/observe/stats.h"

// What the DNS responder counts.

namespace weft::observe {

// Prefix "dns." Of questions: those that came, how many of them by TCP, those that were answered from the table of
// names, those that were passed on, and those that ask nothing that can be answered. Of what was passed on: those open
// now, those that no server answered, those for which there was no room, how often a second or third server was asked,
// messages that were no answer to what had been asked, and how long answers took.
#define WEFT_DNS_METRICS(X)       \
  X(Counter, queries)             \
  X(Counter, queries_tcp)         \
  X(Counter, answered_from_table) \
  X(Counter, forwarded)           \
  X(Counter, malformed)           \
  X(Counter, not_ready)           \
  X(Gauge, services)              \
  X(Gauge, upstream_active)       \
  X(Counter, upstream_failure)    \
  X(Counter, upstream_overflow)   \
  X(Counter, upstream_retry)      \
  X(Counter, upstream_unrelated)  \
  X(Histogram, upstream_ms)
WEFT_STATS(DnsStats, WEFT_DNS_METRICS)

}  // namespace weft::observe
