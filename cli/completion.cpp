// cloudron-fw completion: completions for bash, zsh and fish, from the tree of commands itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/help.hpp"

namespace cli {
namespace {

/// What a value can be.
struct Values {
  enum class Kind { free, words, files, folders, interfaces, blocked } kind = Kind::free;
  std::string words = {};  ///< which; of files: the extension
};

struct Option {
  std::string name;        ///< "--all", or "ADDR" of a value that stands alone
  std::string short_name;  ///< "-a", ""
  std::string text;
  std::string label;  ///< of its value; "" when it takes none
  bool several = false;
  Values values;
};

struct Command {
  std::string path;  ///< " audit sandbox"; "" of the program
  std::string name;
  std::string text;
  std::vector<Option> options;  ///< besides the program's own
  std::vector<Option> values;   ///< that stand alone
  std::vector<Command> commands;
};

/// What a value can be where neither a check nor the name of its type tells, by the option's name
/// or the command's and it.
struct Hint {
  std::string_view where;
  Values::Kind kind;
  const char* words = "";
};
constexpr std::array kHints{
    Hint{"--confirm", Values::Kind::words, "60s 5m 1h"},
    Hint{"--for", Values::Kind::words, "10m 1h 1d 1w"},
    Hint{"--since", Values::Kind::words, "1h 1d 7d"},
    Hint{"--prefix6", Values::Kind::words, "48 56 64 128"},
    Hint{"--what", Values::Kind::words, "apply block unblock reset"},
    Hint{"--via", Values::Kind::interfaces},
    Hint{" check FILE", Values::Kind::files, "toml"},
    Hint{" unblock ADDR", Values::Kind::blocked},
};

// ---- The tree of CLI11 as plain values.

/// The beginning, as far as it stands alone; of "How long: 90s, 10m" all, for it is short.
std::string short_text(const std::string& text) {
  constexpr std::size_t kTooShort = 10;
  const std::string first = first_sentence(text);
  return first.substr(0, std::min({first.find(" ("), first.find(';'), first.find('\n'),
                                   first.find(": ", kTooShort)}));
}

Values values_of(const std::string& path, const std::string& name, const std::string& type) {
  for (const Hint& hint : kHints) {
    if (hint.where == name || hint.where == path + " " + name) return {hint.kind, hint.words};
  }
  // A check for one of some words says "TEXT:{nft,text,json}".
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open != type.npos && close != type.npos) {
    std::string words = type.substr(open + 1, close - open - 1);
    std::ranges::replace(words, ',', ' ');
    return {Values::Kind::words, std::move(words)};
  }
  for (const std::string_view file : {"FILE", "PATH", "CAPTURE"}) {
    if (type.starts_with(file) || name == file) return {Values::Kind::files};
  }
  return {type == "DIR" ? Values::Kind::folders : Values::Kind::free};
}

Option option_of(const CLI::Option& from, const std::string& path) {
  Option option;
  option.name = from.get_lnames().empty() ? from.get_single_name() : "--" + from.get_lnames()[0];
  if (!from.get_snames().empty()) option.short_name = "-" + from.get_snames()[0];
  option.text = short_text(from.get_description());
  option.several = from.get_expected_max() > 1;
  if (from.get_items_expected_max() == 0) return option;
  const std::string type = from.get_type_name();
  const bool alone = !from.nonpositional();
  for (const char c : alone ? option.name : type) {
    if (std::isalpha(static_cast<unsigned char>(c)) == 0) break;
    option.label += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  option.values = values_of(path, option.name, type);
  return option;
}

bool is_shown(const CLI::App* command) { return !command->get_group().empty(); }

Command command_of(const CLI::App& from, const std::string& path,
                   const std::vector<Option>& known) {
  Command command{path, from.get_name(), short_text(from.get_description()), {}, {}, {}};
  for (const CLI::Option* each : from.get_options()) {
    if (each->get_group().empty()) continue;
    Option option = option_of(*each, path);
    if (std::ranges::find(known, option.name, &Option::name) != known.end()) continue;
    (each->nonpositional() ? command.options : command.values).push_back(std::move(option));
  }
  const std::vector<Option>& all = known.empty() ? command.options : known;
  for (const CLI::App* each : from.get_subcommands(is_shown))
    command.commands.push_back(command_of(*each, path + " " + each->get_name(), all));
  return command;
}

// ---- What the shells share.

std::string names_of(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& each : commands) names += (names.empty() ? "" : " ") + each.name;
  return names;
}

std::string names_of(const std::vector<Option>& options) {
  std::string names;
  for (const Option& each : options) names += (names.empty() ? "" : " ") + each.name;
  return names;
}

/// The command and those under it.
std::vector<const Command*> flattened(const Command& command) {
  std::vector<const Command*> all{&command};
  for (const Command& each : command.commands)
    for (const Command* below : flattened(each)) all.push_back(below);
  return all;
}

constexpr const char* kBlocked =
    "cloudron-fw blocks --no-color 2>/dev/null | awk 'NR > 1 { print $1 }'";

// ---- bash.

/// The lines that set COMPREPLY.
std::string bash_reply(const Values& values) {
  constexpr const char* kReply = "mapfile -t COMPREPLY < <(compgen -W {} -- \"$cur\")";
  switch (values.kind) {
    case Values::Kind::free:
      return ":";
    case Values::Kind::words:
      return fmt::format(fmt::runtime(kReply), "'" + values.words + "'");
    case Values::Kind::files:
      return values.words.empty() ? "_filedir" : "_filedir " + values.words;
    case Values::Kind::folders:
      return "_filedir -d";
    case Values::Kind::interfaces:
      return fmt::format(fmt::runtime(kReply), "\"$(ls /sys/class/net)\"");
    case Values::Kind::blocked:
      return fmt::format(fmt::runtime(kReply), fmt::format("\"$({})\"", kBlocked)) +
             "; __ltrim_colon_completions \"$cur\"";
  }
  return ":";
}

std::string bash_script(const Command& program) {
  std::string paths, values, options, alone;
  for (const Command* each : flattened(program)) {
    const bool top = each == &program;
    if (!top) paths += (paths.empty() ? "'" : " | '") + each->path + "'";
    for (const Option& option : each->options) {
      if (option.label.empty()) continue;
      values += fmt::format("    {}'{} {}') {}; return ;;\n", top ? "*" : "", each->path,
                            option.name, bash_reply(option.values));
    }
    if (!top && !each->options.empty())
      options += fmt::format("    '{}') options+=' {}' ;;\n", each->path, names_of(each->options));
    if (!each->commands.empty())
      alone += fmt::format("    '{}') {} ;;\n", each->path,
                           bash_reply({Values::Kind::words, names_of(each->commands)}));
    else if (!each->values.empty() && each->values[0].values.kind != Values::Kind::free)
      alone += fmt::format("    '{}') {} ;;\n", each->path, bash_reply(each->values[0].values));
  }
  return fmt::format(R"(# bash completion of cloudron-fw, written by 'cloudron-fw completion bash'

_cloudron_fw() {{
  local cur prev words cword command='' word
  _init_completion || return
  for word in "${{words[@]:1:cword-1}}"; do
    case "$command $word" in
      {}) command+=" $word" ;;
    esac
  done
  case "$command $prev" in
{}  esac
  local options='{}'
  case $command in
{}  esac
  if [[ $cur == -* ]]; then
    {}
    return
  fi
  case $command in
{}  esac
}}
complete -F _cloudron_fw cloudron-fw
)",
                     paths, values, names_of(program.options), options,
                     "mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")", alone);
}

// ---- zsh.

/// Within single quotes; what an option's text may not hold is escaped.
std::string zsh_text(const std::string& text, std::string_view escaped = {}) {
  std::string out;
  for (const char c : text) {
    if (escaped.find(c) != escaped.npos) out += '\\';
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return out;
}

std::string zsh_action(const Values& values) {
  switch (values.kind) {
    case Values::Kind::free:
      return "";
    case Values::Kind::words:
      return "(" + values.words + ")";
    case Values::Kind::files:
      return "_files";
    case Values::Kind::folders:
      return "_files -/";
    case Values::Kind::interfaces:
      return "_net_interfaces";
    case Values::Kind::blocked:
      return "_cloudron-fw_blocked";
  }
  return "";
}

/// The arguments of _arguments, a line each.
std::string zsh_specs(const std::vector<Option>& options) {
  std::string specs;
  for (const Option& each : options) {
    const std::string text = "[" + zsh_text(each.text, "[]:\\") + "]";
    const std::string value =
        each.label.empty() ? "" : ":" + each.label + ":" + zsh_action(each.values);
    if (each.short_name.empty())
      specs += fmt::format("    '{}{}{}{}'\n", each.several ? "*" : "", each.name, text, value);
    else
      specs += fmt::format("    '({0} {1})'{{{0},{1}}}'{2}{3}'\n", each.short_name, each.name, text,
                           value);
  }
  return specs;
}

std::string zsh_function(const Command& command) {
  std::string name = "_cloudron-fw_all" + command.path;
  std::ranges::replace(name, ' ', '_');
  std::string specs = zsh_specs(command.options);
  for (std::size_t i = 0; i < command.values.size(); ++i) {
    const Option& value = command.values[i];
    const std::string place = value.several ? "*" : std::to_string(i + 1);
    specs += fmt::format("    '{}:{}:{}'\n", place, value.label, zsh_action(value.values));
  }
  if (command.commands.empty() && specs.empty())
    return fmt::format("{}() {{ _arguments $global; }}\n\n", name);
  if (command.commands.empty()) {
    return fmt::format("{}() {{\n  local -a own=(\n{}  )\n  _arguments $global $own\n}}\n\n", name,
                       specs);
  }
  std::string list, cases;
  for (const Command& each : command.commands) {
    list += fmt::format("    '{}:{}'\n", each.name, zsh_text(each.text));
    cases += fmt::format("      {0}) {1}_{0} ;;\n", each.name, name);
  }
  return fmt::format(R"({}() {{
  local curcontext=$curcontext state line
  local -a own=({}{})
  local -a commands=(
{}  )
  _arguments -C $global $own '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest) case $words[1] in
{}    esac ;;
  esac
}}

)",
                     name, specs.empty() ? "" : "\n", specs, list, cases);
}

std::string zsh_script(const Command& program) {
  std::string functions;
  Command top = program;
  top.options.clear();
  for (const Command* each : flattened(top)) functions += zsh_function(*each);
  return fmt::format(R"zsh(#compdef cloudron-fw
# zsh completion of cloudron-fw, written by 'cloudron-fw completion zsh'

_cloudron-fw_blocked() {{
  compadd -- ${{(f)"$({})"}}
}}

{}local -a global=(
{})
_cloudron-fw_all
)zsh",
                     kBlocked, functions, zsh_specs(program.options));
}

// ---- fish.

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_values(const Values& values) {
  switch (values.kind) {
    case Values::Kind::free:
      return " -x";
    case Values::Kind::words:
      return " -x -a " + fish_quoted(values.words);
    case Values::Kind::files:
      return " -r -F";
    case Values::Kind::folders:
      return " -x -a '(__fish_complete_directories)'";
    case Values::Kind::interfaces:
      return " -x -a '(__fish_print_interfaces)'";
    case Values::Kind::blocked:
      return " -x -a " + fish_quoted(fmt::format("({})", kBlocked));
  }
  return "";
}

/// True behind the command, and where one of its own commands is yet to come: before that.
std::string fish_condition(const Command& command, bool before_its_own) {
  std::string condition;
  for (std::size_t at = 0; at < command.path.size();) {
    const std::size_t end = std::min(command.path.find(' ', at + 1), command.path.size());
    condition += (condition.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from") +
                 command.path.substr(at, end - at);
    at = end;
  }
  if (before_its_own) {
    condition += (condition.empty() ? "" : "; and ") +
                 std::string("not __fish_seen_subcommand_from ") + names_of(command.commands);
  }
  return condition.empty() ? "" : " -n " + fish_quoted(condition);
}

std::string fish_script(const Command& program) {
  std::string out =
      "# fish completion of cloudron-fw, written by 'cloudron-fw completion fish'\n"
      "complete -c cloudron-fw -f\n"
      "set -l none" +
      fish_condition(program, true).substr(3) + "\n";
  for (const Command* each : flattened(program)) {
    const std::string behind = "complete -c cloudron-fw" + fish_condition(*each, false);
    const std::string before = each == &program
                                   ? "complete -c cloudron-fw -n $none"
                                   : "complete -c cloudron-fw" + fish_condition(*each, true);
    for (const Option& option : each->options) {
      out += behind;
      if (!option.short_name.empty()) out += " -s " + option.short_name.substr(1);
      out += " -l " + option.name.substr(2);
      if (!option.label.empty()) out += fish_values(option.values);
      out += " -d " + fish_quoted(option.text) + "\n";
    }
    for (const Command& own : each->commands)
      out += before + " -a " + own.name + " -d " + fish_quoted(own.text) + "\n";
    for (const Option& value : each->values) {
      if (value.values.kind != Values::Kind::free) out += behind + fish_values(value.values) + "\n";
    }
  }
  return out;
}

void run_completion(const CLI::App& program, const std::string& shell) {
  const Command tree = command_of(program, "", {});
  const std::string script = shell == "bash"  ? bash_script(tree)
                             : shell == "zsh" ? zsh_script(tree)
                                              : fish_script(tree);
  fmt::print("{}", script);
}

}  // namespace

void add_completion(CLI::App& program, Context&, int& exit) {
  CLI::App* command = program.add_subcommand(
      "completion", "Print the completion of all commands for a shell; for packagers.");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&program, &exit, shell] {
    run_completion(program, *shell);
    exit = kOk;
  });
}

}  // namespace cli
