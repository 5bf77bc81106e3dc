// The tables that a policy may hold, and what to say of a table or key that nobody knows.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace fw {

struct TableForm {
  std::string_view name;
  bool repeats = false;  // [[name]]: one table for each thing

  std::string header() const;  ///< "[ports]", "[[app]]"
};
inline constexpr std::array<TableForm, 14> kTables{{{"ports"},
                                                    {"mail"},
                                                    {"open", true},
                                                    {"guests"},
                                                    {"trusted"},
                                                    {"apps"},
                                                    {"limit", true},
                                                    {"list", true},
                                                    {"app", true},
                                                    {"addon", true},
                                                    {"offender", true},
                                                    {"activity"},
                                                    {"metrics"},
                                                    {"advanced"}}};

/// Of a key in the table of a header: what was meant, or where it belongs, or which keys there are.
std::string unknown_key(std::string_view key, std::string_view header,
                        std::span<const std::string_view> known);

/// The same of a key at the top, which may be that of a table.
std::string unknown_table(std::string_view key, bool is_table);

}  // namespace fw
