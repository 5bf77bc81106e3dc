// The commands, one file each. Each adds itself to the program and sets `exit` when it runs.
#pragma once

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
void add_render(CLI::App& program, Context& context, int& exit);
void add_explain(CLI::App& program, Context& context, int& exit);
void add_reset(CLI::App& program, Context& context, int& exit);

}  // namespace cli
