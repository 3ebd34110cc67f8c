#!/usr/bin/env python3
"""The house rules that no compiler checks: floors, wrappers, lengths, cycles, forbidden calls, guards.

Prints a line `file:line: what` for each finding and exits with 1, or counts the files and exits with 0.
"""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOORS = ["base", "outside", "remote", "work", "engine"]
LONGEST_FUNCTION, LONGEST_FILE, WIDEST_LINE = 60, 600, 100

# The headers of each outside library, and the only files that may include them.
WRAPPERS = {
    r"curl/": r"common/outside/http",
    r"jansson\.h": r"common/outside/json\.c",
    r"openssl/": r"common/outside/digest\.c",
    r"git2[./]": r"common/outside/git",
    r"archive(_entry)?\.h": r"(common|tests/unit)/outside/(test_)?archive",
    r"yaml\.h": r"common/outside/yaml\.c",
    r"expat\.h": r"common/outside/xml\.c",
    r"systemd/": r"common/outside/(loop|journal)\.c",
    r"sqlite3\.h": r"src/dashboard/database\.c",
    r"microhttpd\.h": r"src/dashboard/server",
}
FORBIDDEN = re.compile(r"(?<![\w.>])(system|popen|strcpy|strcat|sprintf|vsprintf|gets|exit)\(")
# Ends without the cleaning up of scoped variables: only for a forked child that could not exec.
EXIT_AT_ONCE, EXIT_AT_ONCE_IN = re.compile(r"\b_exit\("), "common/outside/child.c"
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.M)

findings = []


def find(path, line, what):
    findings.append(f"{path}:{line}: {what}")


def sources():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=TOP,
                           capture_output=True, text=True, check=True).stdout.split()
    return sorted(name for name in names if (TOP / name).exists())


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def floor_of(path):
    """The floor a library file stands on; None for programs and tests."""
    match = re.match(r"(?:common|include)/(\w+)/", path)
    return match.group(1) if match else None


def may_use(path, floor):
    """May this file include a header of that floor?"""
    own = floor_of(path)
    if own:
        return FLOORS.index(floor) <= FLOORS.index(own)
    return floor != "engine" or not path.startswith("src/")


def check_includes(path, text):
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        line = line_of(text, match.start())
        floor = name.split("/")[0]
        if kind == '"' and floor in FLOORS and not may_use(path, floor):
            find(path, line, f"{name} stands on a floor above")
        for library, wrapper in WRAPPERS.items():
            if re.match(library, name) and not re.match(wrapper, path):
                find(path, line, f"{name} belongs into its wrapper ({wrapper}) only")


def check_lengths(path, text):
    lines = text.split("\n")
    if len(lines) - 1 > LONGEST_FILE:
        find(path, 1, f"{len(lines) - 1} lines, more than {LONGEST_FILE}")
    start = None
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > WIDEST_LINE:
            find(path, number, f"wider than {WIDEST_LINE} columns")
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > LONGEST_FUNCTION:
                find(path, start, f"a function of {number - start - 1} lines, more than {LONGEST_FUNCTION}")
            start = None


def without_comments_and_strings(text):
    """Blanks them, keeping every line where it is."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def check_calls(path, text):
    code = without_comments_and_strings(text)
    for match in re.finditer(r"\bgoto\b", code):
        find(path, line_of(code, match.start()), "goto")
    if path.startswith("tests/"):
        return
    for match in FORBIDDEN.finditer(code):
        find(path, line_of(code, match.start()), f"{match.group(1)}() is not used here")
    for match in EXIT_AT_ONCE.finditer(code):
        if path != EXIT_AT_ONCE_IN:
            find(path, line_of(code, match.start()), f"_exit() is for children, in {EXIT_AT_ONCE_IN}")


def check_comments(path, text):
    """clang-format breaks long lines of comments, not always well."""
    for comment in re.finditer(r"/\*.*?\*/", text, re.S):
        for broken in re.finditer(r"\n[ \t]*\*(?=[^\s/])", comment.group()):
            find(path, line_of(text, comment.start() + broken.end()), "no space after the star of a comment's line")


def check_guard(path, text):
    parts = pathlib.PurePath(path)
    name = parts.stem if "include" not in parts.parts else f"{parts.parent.name}_{parts.stem}"
    guard = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.M)
    if not text.startswith("/*"):
        find(path, 1, "a header begins with a comment that says what it is")
    if not guard or not guard.group(1).endswith(f"{name.upper()}_H"):
        find(path, 1, f"no include guard ...{name.upper()}_H")


def module_of(path):
    """x.c, x.h and their x_private.h or x_body.h are one module: its path, as an #include names it."""
    return re.sub(r"(_private|_body)?\.[ch]$", "", re.sub(r"^(include|common)/", "", path))


def check_cycles(texts):
    modules = {module_of(path): path for path in texts}
    uses = {module: set() for module in modules}
    for path, text in texts.items():
        here = pathlib.PurePath(path).parent
        for kind, name in INCLUDE.findall(text):
            for candidate in (module_of(name), module_of(str(here / name))):
                if kind == '"' and candidate in modules and candidate != module_of(path):
                    uses[module_of(path)].add(candidate)
    done, under_way = set(), []

    def visit(module):
        if module in under_way:
            chain = under_way[under_way.index(module):] + [module]
            find(modules[module], 1, "a cycle: " + " -> ".join(chain))
            return
        if module in done:
            return
        under_way.append(module)
        for used in sorted(uses[module]):
            visit(used)
        under_way.pop()
        done.add(module)

    for module in sorted(modules):
        visit(module)


def main():
    texts = {path: (TOP / path).read_text() for path in sources()}
    for path, text in texts.items():
        check_includes(path, text)
        check_lengths(path, text)
        check_calls(path, text)
        check_comments(path, text)
        if path.endswith(".h"):
            check_guard(path, text)
    check_cycles({path: text for path, text in texts.items() if not path.startswith("tests/")})
    for finding in findings:
        print(finding)
    if not findings:
        print(f"house: {len(texts)} files, in order")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
