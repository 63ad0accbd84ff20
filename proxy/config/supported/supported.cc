#include "proxy/config/supported/supported.h"

#include "proxy/config/supported/tables.h"

namespace weft::config {

const text::SupportedFields& supported_fields() {
  static const text::SupportedFields* const kFields = [] {
    std::vector<std::string_view> entries;
    for (std::span<const std::string_view> table : {supported_process_fields(), supported_listener_fields(),
                                                    supported_route_fields(), supported_cluster_fields()}) {
      entries.insert(entries.end(), table.begin(), table.end());
    }
    return new text::SupportedFields(entries, refused_paths());
  }();
  return *kFields;
}

}  // namespace weft::config
