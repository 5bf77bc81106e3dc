#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of tests/tidy/tidy: each rule fires on a small bad tree, and is silent on a good one.

    tests/tidy/tidy_test.py
"""

import pathlib
import subprocess
import tempfile
import unittest

LICENSE = "SPDX-License-Identifier: GPL-2.0-or-later"
TIDY = pathlib.Path(__file__).resolve().parent / "tidy"

GOOD = {
    "CMakeLists.txt": """function(fw_library name folder)
endfunction()
fw_library(fw_base fw/base)
fw_library(fw_policy fw/policy fw_base)
fw_library(chains chains fw_policy fw_base)
fw_library(chains_netlink chains/netlink chains fw_base PkgConfig::MNL)
fw_headers(fw_plugins fw/plugins fw_base)
fw_library(fw_plugins_web fw/plugins/web fw_plugins
           fw_base)
target_link_libraries(cloudron-fw PRIVATE fw_plugins_web chains_netlink
                                          fw_base)
""",
    "ARCHITECTURE.md": "".join(f"| `{folder}` | is |\n" for folder in (
        "fw/base", "fw/policy", "chains", "chains/netlink", "fw/plugins", "fw/plugins/web", "cli")),
    "docs/a.md": "[the folders](../ARCHITECTURE.md) [a site](https://example.org/x)\n",
    "fw/base/process.hpp": "// Runs other programs, for tests.\n#pragma once\n",
    "fw/base/process.cpp": '// Runs other programs, for tests.\n#include "fw/base/process.hpp"\n',
    "fw/policy/policy.hpp": "// What an admin wants, for tests.\n#pragma once\nusing namespace std::string_literals;\n",
    "chains/rule.hpp": '// Rules, for tests.\n#pragma once\n#include "fw/policy/policy.hpp"\n',
    "chains/netlink/handles.hpp": "// Handles, for tests.\n#pragma once\n#include <libmnl/libmnl.h>\n",
    "chains/netlink/kernel.hpp": '// The kernel, for tests.\n#pragma once\n#include "chains/rule.hpp"\n',
    "chains/netlink/kernel.cpp": '// The kernel, for tests.\n#include "chains/netlink/handles.hpp"\n',
    "fw/plugins/finding.hpp": "// A finding, for tests.\n#pragma once\n",
    "fw/plugins/web/install.cpp": '// Installs, for tests.\n#include "fw/base/process.hpp"\n',
    "cli/main.cpp": '// The program, for tests.\n#include "chains/netlink/kernel.hpp"\nint main() { std::exit(0); }\n',
}


def licensed(name, text):
    """A source of these tests with the line that each of ours has."""
    if name.endswith("CMakeLists.txt"):
        return f"# {LICENSE}\n{text}"
    if name.endswith((".cpp", ".hpp")) and text.startswith("//"):
        return text.replace("\n", f"\n// {LICENSE}\n", 1)
    return text


def tidied(changes, add_license=licensed):
    """What tidy says of the good tree with some files changed, and how it ends."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (GOOD | changes).items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(add_license(name, text), encoding="utf-8")
        done = subprocess.run([str(TIDY), folder], capture_output=True, text=True, check=False)
        return done.stdout.splitlines() + done.stderr.splitlines(), done.returncode


class Tidy(unittest.TestCase):
    def silent(self, changes):
        self.assertEqual(tidied(changes), (["in order"], 0))

    def fires(self, changes, *wanted):
        lines, code = tidied(changes)
        self.assertEqual((len(lines), code), (len(wanted), 1), lines)
        for line, part in zip(sorted(lines), sorted(wanted)):
            self.assertIn(part, line)

    def fires_in(self, name, code, wanted):
        """One finding, in the given code behind a first line that says what the file is for."""
        start = "// What the file is for.\n" + ("#pragma once\n" if name.endswith(".hpp") else "")
        self.fires({name: start + code + "\n"}, wanted)

    def test_a_good_tree(self):
        self.silent({})

    def test_what_others_wrote_is_skipped(self):
        self.silent({"build/x.cpp": "x", "build-2/x.hpp": "x"})

    # ---- Layers.

    def test_an_include_goes_down(self):
        self.fires_in("fw/base/a.cpp", '#include "fw/policy/policy.hpp"', "fw/base must not use fw/policy")
        self.fires_in("fw/policy/a.cpp", '#include "chains/rule.hpp"', "a.cpp:3: fw/policy must not use chains")

    def test_what_a_link_line_does_not_name_is_not_used(self):
        self.fires_in("chains/netlink/a.cpp", '#include "fw/policy/policy.hpp"',
                      "chains/netlink must not use fw/policy")

    def test_a_link_line_of_two_lines(self):
        self.silent({"fw/plugins/web/a.cpp": '// What the file is for.\n#include "fw/plugins/finding.hpp"\n'
                                             '#include "fw/base/process_name.hpp"\n'})

    def test_nothing_includes_cli(self):
        self.fires_in("fw/policy/a.cpp", '#include "cli/main.hpp"', "nothing includes cli")

    def test_an_include_begins_at_the_top(self):
        self.fires_in("fw/policy/a.cpp", '#include "policy.hpp"', "begin at the top folder")

    def test_a_cycle_of_link_lines(self):
        lines = GOOD["CMakeLists.txt"].replace("fw_library(fw_base fw/base)", "fw_library(fw_base fw/base fw_policy)")
        self.fires({"CMakeLists.txt": lines}, "fw/base stands on itself", "fw/policy stands on itself")

    def test_a_folder_that_is_not_there(self):
        self.fires({"CMakeLists.txt": GOOD["CMakeLists.txt"] + "fw_library(fw_x fw/x fw_base)\n"},
                   "there is no folder fw/x", "the table of folders lacks fw/x")

    def test_a_library_crosses_no_header(self):
        wanted = 'brings libmnl along, which is to stay in chains/netlink'
        self.fires_in("cli/a.cpp", '#include "chains/netlink/handles.hpp"', wanted)
        self.fires({"chains/netlink/kernel.hpp": '// The kernel, for tests.\n#pragma once\n'
                                                 '#include "chains/netlink/handles.hpp"\n'}, wanted)

    def test_a_library_comes_along_to_who_may_use_it(self):
        link = "fw_library(fw_service fw/service)\nfw_library(fw_daemon fw/daemon fw_service)\n"
        loop = {"CMakeLists.txt": GOOD["CMakeLists.txt"] + link,
                "ARCHITECTURE.md": GOOD["ARCHITECTURE.md"] + "| `fw/service` | is |\n| `fw/daemon` | is |\n",
                "fw/service/loop.hpp": "// A loop, for tests.\n#pragma once\n#include <boost/asio/io_context.hpp>\n",
                "fw/daemon/daemon.cpp": '// A daemon, for tests.\n#include "fw/service/loop.hpp"\n'}
        self.silent(loop)
        link = link.replace("fw_daemon fw/daemon", "fw_wire fw/wire")
        self.fires(loop | {"CMakeLists.txt": GOOD["CMakeLists.txt"] + link,
                           "ARCHITECTURE.md": GOOD["ARCHITECTURE.md"] + "| `fw/service` | is |\n| `fw/wire` | is |\n",
                           "fw/daemon/daemon.cpp": "// Nothing, for tests.\n",
                           "fw/wire/wire.cpp": '// JSON, for tests.\n#include "fw/service/loop.hpp"\n'},
                   "brings boost/asio along")

    # ---- Bans.

    def test_libraries_have_their_folder(self):
        for name, header in (("fw/base/a.cpp", "libmnl/libmnl.h"), ("chains/a.cpp", "libnftnl/rule.h"),
                             ("fw/base/a.cpp", "toml++/toml.h"), ("fw/policy/a.cpp", "sqlite3.h"),
                             ("cli/a.cpp", "SQLiteCpp/SQLiteCpp.h"), ("cli/a.cpp", "pcap/pcap.h"),
                             ("cli/a.cpp", "zlib.h"), ("fw/policy/a.cpp", "CLI/CLI.hpp"),
                             ("chains/a.cpp", "boost/json/object.hpp"), ("cli/a.cpp", "boost/asio/io_context.hpp"),
                             ("cli/a.cpp", "boost/beast/http.hpp")):
            with self.subTest(header):
                self.fires_in(name, f"#include <{header}>", " only")

    def test_toml_has_its_files(self):
        self.fires_in("fw/policy/check.cpp", "toml::table t;", "TOML is known to")
        self.fires_in("fw/policy/check.cpp", '#include "fw/policy/toml.hpp"', "TOML is known to")

    def test_other_programs(self):
        for call in ('system("ls")', 'popen("ls", "r")', "execve(a, b, c)", "posix_spawn(&pid, a)", "::posix_spawnp(a)"):
            with self.subTest(call):
                self.fires_in("fw/policy/a.cpp", f"int x = {call};", "runs no other program")
        self.fires_in("fw/policy/a.cpp", "int x = fork();", "guardian alone")
        self.silent({"cli/guardian.cpp": "// What the file is for.\nint x = ::fork();\n"})

    def test_only_an_install_runs_a_program(self):
        wanted = "run by the install.cpp of a plugin only"
        self.fires_in("fw/plugins/web/plugin.cpp", '#include "fw/base/process.hpp"', wanted)
        self.fires_in("fw/plugins/web/uninstall.cpp", '#include "fw/base/process.hpp"', wanted)
        self.fires_in("cli/a.cpp", "auto end = run_process({}, {});", wanted)
        self.silent({"fw/plugins/web/install.cpp": GOOD["fw/plugins/web/install.cpp"] + "auto e = run_process(a, b);\n"})

    def test_libraries_do_not_print_or_exit(self):
        self.fires_in("fw/policy/a.cpp", 'auto x = fmt::print("");', "it does not print")
        self.fires_in("fw/policy/a.cpp", "void f() { std::exit(1); }", "exit codes are given in cli only")

    def test_tables_of_others(self):
        self.fires_in("cli/a.cpp", 'auto x = "flush ruleset";', "tables that are not ours")

    def test_comments_and_tests_are_not_banned(self):
        self.silent({"fw/policy/a.cpp": "// What the file is for.\nint x;  // system(1)\n",
                     "tests/unit/a.cpp": '// What the file is for.\nint x = system("ls");\n'})

    # ---- What every file owes its reader.

    def test_headers(self):
        self.fires({"fw/base/a.hpp": "// What the file is for.\nint x;\n"}, "no #pragma once")
        self.fires_in("fw/base/a.hpp", "using namespace fw;", "in a header")

    def test_the_first_line(self):
        for text in ("int x;\n", "// short\n", "\n// What the file is for.\n"):
            self.fires({"fw/base/a.cpp": text}, "the first line says what the file is for")
        only_license = tidied({"fw/base/a.cpp": f"// {LICENSE}\nint x;\n"}, self.only_good("fw/base/a.cpp"))
        self.assertEqual(only_license, (["fw/base/a.cpp:1: the first line says what the file is for"], 1))

    def test_the_license(self):
        for name, mark in (("fw/base/a.cpp", "//"), ("fw/base/a.hpp", "//"), ("limiter/a.inc", "//"),
                           ("bench/CMakeLists.txt", "#"), ("packaging/a.bash", "#"), ("packaging/a.py", "#"),
                           ("packaging/a", "#!/bin/bash\n#")):
            rest = "\n#pragma once\n" if name.endswith(".hpp") else "\n"
            with self.subTest(name):
                whole = {name: f"{mark} What the file is for.\n{mark[-2:].strip()} {LICENSE}{rest}"}
                bare = {name: f"{mark} What the file is for.{rest}"}
                later = {name: f"{mark} What the file is for.{rest}\n{mark[-2:].strip()} {LICENSE}\n"}
                self.assertEqual(tidied(whole, self.only_good(name)), (["in order"], 0))
                for text in (bare, later):
                    lines, code = tidied(text, self.only_good(name))
                    self.assertEqual((len(lines), code), (1, 1), lines)
                    self.assertIn(f"{name}:1: the comment that it begins with lacks", lines[0])
        self.silent({"packaging/a": "no script\n", "docs/a.txt": "no source\n"})

    @staticmethod
    def only_good(changed):
        return lambda name, text: text if name == changed else licensed(name, text)

    def test_lengths(self):
        def function(lines, edge=""):
            inner = "".join(f"{edge}  x();\n" for _ in range(lines - 2))
            return f"{edge}void f() {{\n{inner}{edge}}}\n"
        start = "// What the file is for.\n"
        self.silent({"fw/base/a.cpp": start + function(75) + function(75)})
        self.fires({"fw/base/a.cpp": start + function(76)}, "a.cpp:3: 76 lines (at most 75)")
        self.silent({"fw/base/a.cpp": start + "struct A {\n" + function(75, "  ") + "};\n"})
        self.fires({"fw/base/a.cpp": start + "struct A {\n" + function(76, "  ") + "};\n"}, "76 lines")

    def test_words_of_what_is_not_done(self):
        for word in ("TO" "DO", "FIX" "ME", "XX" "X"):
            self.fires_in("fw/base/a.cpp", f"// {word}: later", f"{word}: do it")
            self.fires({"docs/b.md": f"{word} more\n"}, f"{word}: do it")

    def test_links(self):
        self.fires({"docs/b.md": "[x](nowhere.md#a)\n"}, "leads nowhere: nowhere.md")

    # ---- The command line.

    MANUAL = "packaging/man/cloudron-fw.8"

    def test_the_command_line_is_documented(self):
        command = {"cli/a.cpp": '// What the file is for.\nauto c = p.add_subcommand("wash", "");\n'
                                'auto o = c.add_option("--soap-kind", x);\n'}
        self.silent(command | {self.MANUAL: "wash --soap-kind\n"})
        self.fires(command | {self.MANUAL: "wash\n"}, "man/cloudron-fw.8:1: does not know 'soap-kind'")

    def test_options_of_plugins_are_documented(self):
        plugin = {"fw/plugins/web/plugin.hpp":
                  '// What the file is for.\n#pragma once\nPluginOption o{PluginOption::Form::value, "soap"};\n'
                  'Plugin p{.name = "wash"};\n'}
        self.silent(plugin | {self.MANUAL: "wash --soap\n"})
        self.fires(plugin | {self.MANUAL: "wash\n"}, "does not know 'soap'")


if __name__ == "__main__":
    unittest.main()
