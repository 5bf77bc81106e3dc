// cloudron-fw show
// SPDX-License-Identifier: GPL-2.0-or-later
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "chains/text.hpp"
#include "cli/commands.hpp"
#include "fw/host/panic.hpp"
#include "fw/host/set_contents.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

std::string note(const std::string& id, const fw::Location& where) {
  std::string text = id;
  if (const std::string place = to_string(where); !place.empty()) {
    text += (text.empty() ? "" : ", ") + place;
  }
  return text;
}

void print_text(const Context& context, const chains::Ruleset& ruleset) {
  for (const chains::Chain& chain : ruleset.chains) {
    context.say(context.styled(Style::bold, "chain " + chain.name) +
                (chain.base ? "  " + chains::to_text(*chain.base) : "") +
                (chain.admin ? context.styled(Style::dim, "  # for the admin's own rules") : ""));
    for (const chains::Rule& rule : chain.rules) {
      context.say("  " + chains::to_text(rule) +
                  context.styled(Style::dim, "   # " + note(rule.id, rule.where)));
    }
  }
  for (const chains::Set& set : ruleset.sets) {
    context.say(chains::to_text(set));
    for (const chains::Element& element : set.elements) {
      const std::string where = to_string(element.where);
      context.say("  " + chains::to_text(set, element) +
                  (where.empty() ? "" : context.styled(Style::dim, "   # " + where)));
    }
  }
  for (const chains::Object& object : ruleset.objects) context.say(chains::to_text(object));
}

json::value ruleset_json(const chains::Ruleset& ruleset) {
  json::array chains;
  for (const chains::Chain& chain : ruleset.chains) {
    json::array rules;
    for (const chains::Rule& rule : chain.rules) {
      rules.push_back(json::object{{"text", chains::to_text(rule)},
                                   {"id", rule.id},
                                   {"where", fw::wire::to_json(rule.where)}});
    }
    chains.push_back(json::object{
        {"name", chain.name},
        {"base", chain.base ? json::value(chains::to_text(*chain.base)) : json::value(nullptr)},
        {"admin", chain.admin},
        {"rules", std::move(rules)}});
  }
  json::array sets;
  for (const chains::Set& set : ruleset.sets) {
    json::array elements;
    for (const chains::Element& element : set.elements) {
      elements.emplace_back(chains::to_text(set, element));
    }
    sets.push_back(json::object{
        {"name", set.name}, {"text", chains::to_text(set)}, {"elements", std::move(elements)}});
  }
  json::array objects;
  for (const chains::Object& object : ruleset.objects) {
    objects.emplace_back(chains::to_text(object));
  }
  return json::object{{"family", "inet"},
                      {"table", chains::kTable},
                      {"chains", std::move(chains)},
                      {"sets", std::move(sets)},
                      {"objects", std::move(objects)}};
}

int run_show(const Context& context, const std::string& format) {
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  context.problems(loaded->warnings);
  fw::Lists lists(context.state_dir);
  // Blocks are known to root only.
  auto opened = access(context.state_dir.c_str(), W_OK) == 0
                    ? fw::Store::open(context.state_dir)
                    : fw::Result<fw::Store>(fw::fail(fw::ErrorCode::permission, ""));
  fw::Store* const store = opened ? &*opened : nullptr;
  const auto panic = fw::read_panic(context.state_dir);
  const auto compiled = fw::compile_target(loaded->policy, lists, store,
                                           panic ? std::optional(panic->panic) : std::nullopt);
  if (!compiled) {
    context.error(compiled.error());
    return kError;
  }
  const fw::Target& target = *compiled;
  if (context.json || format == "json") {
    context.print(ruleset_json(target.ruleset));
  } else if (format == "nft") {
    const auto managed = fw::managed_elements(target, lists, store);
    if (!managed) {
      context.error(managed.error());
      return kError;
    }
    chains::write_nft(target.ruleset, *managed,
                      [](std::string_view text) { fmt::print("{}", text); });
  } else {
    print_text(context, target.ruleset);
  }
  print_lists(context, target.lists.reports);
  return target.lists.has_problems() ? kPartly : kOk;
}

}  // namespace

void add_show(CLI::App& program, Context& context, int& exit) {
  auto format = std::make_shared<std::string>("text");
  CLI::App* command = program.add_subcommand(
      "show",
      "Print the rules that the policy compiles to. Needs no root and does not read the kernel's "
      "firewall. The nft form can be loaded with 'nft -f' and makes the same table as 'apply' "
      "(with blocks only if the state folder can be read).");
  command->add_option("--format", *format, "nft, text or json")
      ->check(CLI::IsMember({"nft", "text", "json"}))
      ->capture_default_str();
  command->callback([&context, &exit, format] { exit = run_show(context, *format); });
}

}  // namespace cli
