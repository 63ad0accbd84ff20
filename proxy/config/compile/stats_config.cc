#include "proxy/config/compile/stats_config.h"

namespace weft::config {
namespace {

namespace metrics_v3 = envoy::config::metrics::v3;

std::vector<observe::StatsRules::Matcher> compile_list(Context& context, const matcher_v3::ListStringMatcher& list,
                                                       std::string_view path) {
  std::vector<observe::StatsRules::Matcher> result;
  for (int i = 0; i < list.patterns_size(); ++i) {
    route::StringMatcher matcher = compile_string_matcher(context, list.patterns(i), at(path, "patterns", i));
    result.push_back([matcher](std::string_view name) { return matcher.matches(name); });
  }
  return result;
}

void compile_matcher(Context& context, const metrics_v3::StatsMatcher& proto, std::string_view path,
                     observe::StatsRules& rules) {
  switch (proto.stats_matcher_case()) {
    case metrics_v3::StatsMatcher::kRejectAll:
      if (proto.reject_all()) rules.hide_all();
      break;
    case metrics_v3::StatsMatcher::kExclusionList:
      rules.hide(compile_list(context, proto.exclusion_list(), field_path(path, "exclusion_list")));
      break;
    case metrics_v3::StatsMatcher::kInclusionList:
      rules.show_only(compile_list(context, proto.inclusion_list(), field_path(path, "inclusion_list")));
      break;
    default:
      context.error(path, "expected reject_all, exclusion_list or inclusion_list");
  }
}

}  // namespace

std::shared_ptr<const observe::StatsRules> compile_stats_config(Context& context, const metrics_v3::StatsConfig& proto,
                                                                std::string_view path) {
  auto rules = std::make_shared<observe::StatsRules>();
  for (int i = 0; i < proto.stats_tags_size(); ++i) {
    const metrics_v3::TagSpecifier& tag = proto.stats_tags(i);
    std::string here = at(path, "stats_tags", i);
    if (tag.tag_value_case() == metrics_v3::TagSpecifier::kFixedValue) {
      rules->add_fixed_tag(tag.tag_name(), tag.fixed_value());
    } else if (!tag.regex().empty()) {
      absl::Status added = rules->add_tag(tag.tag_name(), tag.regex());
      if (!added.ok()) context.error(field_path(here, "regex"), std::string(added.message()));
    }
    // A name alone selects one of the labels that metrics have by themselves.
  }
  rules->set_default_tags(WEFT_VALUE_OR(proto, use_all_default_tags, true));
  if (proto.has_stats_matcher()) {
    compile_matcher(context, proto.stats_matcher(), field_path(path, "stats_matcher"), *rules);
  }
  return rules;
}

}  // namespace weft::config
