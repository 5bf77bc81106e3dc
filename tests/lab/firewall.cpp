// The program under test.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/firewall.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <boost/json/parse.hpp>

namespace lab {

const std::string& program() {
  static const char* const other = std::getenv("CLOUDRON_FW");
  static const std::string path = other != nullptr ? other : BUILT_CLOUDRON_FW;
  return path;
}

Firewall::Firewall(const Namespace& host) : host_(host) { policy(""); }

void Firewall::policy(const std::string& toml) { write_file(policy_path(), toml); }

void Firewall::set_clock(seconds ahead) {
  // Renamed into its place: nobody reads a part of it.
  write_file(clock_path() + ".new", std::to_string(ahead.count()));
  std::filesystem::rename(clock_path() + ".new", clock_path());
  own_clock_ = true;
}

std::string Firewall::file(const std::string& name, const std::string& text) {
  write_file(dir_ / name, text);
  return dir_ / name;
}

std::vector<std::string> Firewall::command(const std::vector<std::string>& words) const {
  std::vector<std::string> whole;
  if (own_clock_) {
    whole = {"env", std::string("LD_PRELOAD=") + LAB_WALL_CLOCK, "LAB_WALL_CLOCK=" + clock_path(),
             "ASAN_OPTIONS=verify_asan_link_order=0"};
  }
  for (const std::string& word : {program(), std::string("--policy"), policy_path(),
                                  std::string("--state-dir"), state_dir()}) {
    whole.push_back(word);
  }
  whole.insert(whole.end(), words.begin(), words.end());
  return whole;
}

Output Firewall::run(const std::vector<std::string>& words, const std::string& input) const {
  return lab::run(host_, command(words), input);
}

Output Firewall::run_by(const std::vector<std::string>& before,
                        const std::vector<std::string>& words) const {
  std::vector<std::string> whole = before;
  for (const std::string& word : command(words)) whole.push_back(word);
  return lab::run(host_, whole);
}

boost::json::value Firewall::json(std::vector<std::string> words) const {
  words.emplace_back("--json");
  const Output output = run(words);
  boost::json::error_code error;
  boost::json::value value = boost::json::parse(output.out, error);
  errno = 0;
  if (error) fail(words.front() + " --json does not print JSON: " + to_string(output));
  return value;
}

Output Firewall::must(const std::vector<std::string>& words, const std::string& input) const {
  Output output = run(words, input);
  errno = 0;
  if (!output.ok()) fail("cloudron-fw " + words.front() + " failed: " + to_string(output));
  return output;
}

}  // namespace lab
