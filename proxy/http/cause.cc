#include "proxy/http/cause.h"

#include <array>

namespace weft::http {
namespace {

constexpr CauseInfo kInfos[] = {
#define X(id, name, status, grpc, flag, who, phase, sentence) \
  {name, status, grpc, flag, Party::who, Phase::phase, sentence},
    WEFT_CAUSES(X)
#undef X
};

}  // namespace

const CauseInfo& cause_info(Cause cause) { return kInfos[static_cast<size_t>(cause)]; }

std::string_view party_name(Party party) {
  constexpr std::string_view kNames[] = {"nobody", "proxy", "upstream", "downstream"};
  return kNames[static_cast<size_t>(party)];
}

std::string_view phase_name(Phase phase) {
  constexpr std::string_view kNames[] = {"request_head", "request_body", "routing", "balancing",
                                         "connecting",   "forwarding",   "done"};
  return kNames[static_cast<size_t>(phase)];
}

}  // namespace weft::http
