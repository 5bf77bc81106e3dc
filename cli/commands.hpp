// The commands, one file each. Each adds itself to the program and sets `exit` when it runs.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "cli/context.hpp"

namespace CLI {
class App;
}

namespace cli {

void add_apply(CLI::App& program, Context& context, int& exit);
void add_confirm(CLI::App& program, Context& context, int& exit);
void add_panic(CLI::App& program, Context& context, int& exit);
void add_plan(CLI::App& program, Context& context, int& exit);
void add_check(CLI::App& program, Context& context, int& exit);
void add_show(CLI::App& program, Context& context, int& exit);
void add_status(CLI::App& program, Context& context, int& exit);
void add_block(CLI::App& program, Context& context, int& exit);
void add_daemon(CLI::App& program, Context& context, int& exit);
void add_top(CLI::App& program, Context& context, int& exit);
void add_verify(CLI::App& program, Context& context, int& exit);
void add_simulate(CLI::App& program, Context& context, int& exit);
void add_activity(CLI::App& program, Context& context, int& exit);
void add_audit(CLI::App& program, Context& context, int& exit);
void add_certs(CLI::App& program, Context& context, int& exit);
void add_render(CLI::App& program, Context& context, int& exit);
void add_explain(CLI::App& program, Context& context, int& exit);
void add_services(CLI::App& program, Context& context, int& exit);
void add_reset(CLI::App& program, Context& context, int& exit);
void add_completion(CLI::App& program, Context& context, int& exit);

struct CommandRow {
  void (*add)(CLI::App& program, Context& context, int& exit);  ///< one command, or a few
  const char* group;  ///< its heading in --help; "": in none
};

/// All commands, in the order of --help.
inline constexpr std::array kCommands{
    CommandRow{add_apply, "Policy"},     CommandRow{add_confirm, "Policy"},
    CommandRow{add_plan, "Policy"},      CommandRow{add_check, "Policy"},
    CommandRow{add_show, "Policy"},      CommandRow{add_block, "Blocks"},
    CommandRow{add_panic, "Blocks"},     CommandRow{add_status, "State"},
    CommandRow{add_top, "State"},        CommandRow{add_verify, "State"},
    CommandRow{add_activity, "State"},   CommandRow{add_simulate, "Analysis"},
    CommandRow{add_explain, "Analysis"}, CommandRow{add_audit, "Analysis"},
    CommandRow{add_render, "System"},    CommandRow{add_certs, "System"},
    CommandRow{add_daemon, "System"},    CommandRow{add_services, "System"},
    CommandRow{add_reset, "System"},     CommandRow{add_completion, ""},
};

}  // namespace cli
