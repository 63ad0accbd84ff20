#include "proxy/config/supported/supported.h"

#include "proxy/base/assert.h"
#include "proxy/config/supported/tables.h"

namespace weft::config {

const text::SupportedFields& supported_fields() {
  static const text::SupportedFields* const kFields = [] {
    std::vector<std::string_view> entries;
    for (std::span<const std::string_view> table : {supported_process_fields(), supported_listener_fields(),
                                                    supported_route_fields(), supported_cluster_fields()}) {
      entries.insert(entries.end(), table.begin(), table.end());
    }
    absl::StatusOr<text::SupportedFields> fields = text::SupportedFields::create(entries, refused_paths());
    WEFT_ASSERT(fields.ok());
    return new text::SupportedFields(*std::move(fields));
  }();
  return *kFields;
}

}  // namespace weft::config
